"""``sammix report``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def report(
    runs: Annotated[list[Path], typer.Argument(help="Folders that `sammix evaluate` wrote.", metavar="RUN")],
    out: Annotated[Path, typer.Option("--out", help="The page to write (.html).")],
) -> None:
    """Compare several evaluations on one page."""
    from sammix.report.compare import compare_report

    if out.suffix.lower() not in (".html", ".htm"):
        raise typer.BadParameter(f"--out {out}: the page is HTML; name it .html, and print it to PDF from a browser")
    compare_report(runs, out)
    print(out)
