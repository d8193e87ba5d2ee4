"""Figures, pictures and self-contained HTML."""
