"""``sammix demo``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sammix.cli.options import Quiet


def demo(
    out: Annotated[Path, typer.Option("--out", help="Where to work.")] = Path("demo"),
    seed: Annotated[int, typer.Option(min=0, help="Which synthetic patients are made.")] = 0,
    quiet: Quiet = False,
) -> None:
    """Make synthetic patients, fit, predict, evaluate, report.

    It fits on a few annotated slices of one synthetic hospital and is measured in two.
    """
    from sammix.demo.tour import run_demo
    from sammix.log import show_on_terminal

    show_on_terminal(quiet)
    run_demo(out, seed)
