"""Masks → files."""
