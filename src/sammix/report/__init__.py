"""Figures, pictures and self-contained HTML.

``evaluation`` (write_evaluation), ``preview`` (write_preview), ``sheets`` (write_sheets) and ``compare``
(compare_report) write files; ``figures``, ``overlays`` and ``html`` are what they draw with.
"""
