"""sammix: organ masks in CT from yes/no labels and a handful of drawn slices."""

__version__ = "0.1.0"
