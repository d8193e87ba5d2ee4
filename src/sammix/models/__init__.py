"""Networks as things to keep: built from settings, saved, loaded; pretrained weights."""
