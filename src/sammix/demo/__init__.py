"""Synthetic patients, and a tour of the whole of sammix on them."""
