"""A reader a format: files → volumes."""
