"""``sammix report``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def report(
    runs: Annotated[list[Path], typer.Argument(help="Folders that `sammix evaluate` wrote.", metavar="RUN…")],
    out: Annotated[Path, typer.Option("--out", help="The page to write (.html).")],
) -> None:
    """Compare several evaluations on one page."""
    from sammix.report.compare import compare_report

    compare_report(runs, out)
    print(out)
