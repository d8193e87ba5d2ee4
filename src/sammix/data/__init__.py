"""Slices: from volumes to the grid, gathered, split, drawn, sampled and augmented."""
