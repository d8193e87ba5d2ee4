"""The networks that the paper compares with: each a file, all behind one interface."""
