"""Synthetic patients (``phantoms``), and a tour of the whole of sammix on them (``tour``)."""
