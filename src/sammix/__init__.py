"""sammix: organ masks in CT from yes/no labels and a handful of annotated slices."""

__version__ = "0.1.0"
