"""Draw the slices that a model suggests to annotate, some to a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sammix.inference.suggestions import Suggestion
from sammix.report.preview import write_strip

SHEET = 20  # slices to a picture: a viewer shows what is 8,000 px high, and hardly more


def write_sheets(out: Path, suggestions: Sequence[Suggestion]) -> None:
    """Write ``suggestions.png`` with the first twenty, ``suggestions-2.png`` with the next, and so on.

    Raises:
        OutputError: a file cannot be written.
    """
    for first in range(0, len(suggestions), SHEET):
        shown = suggestions[first : first + SHEET]
        captions = [f"doubt {one.doubt:.2f}\n{one.case}, slice {one.slice}" for one in shown]
        name = f"suggestions{f'-{first // SHEET + 1}' if first else ''}.png"
        write_strip(out / name, [one.evidence for one in shown], captions)
