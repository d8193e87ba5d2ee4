"""``sammix info``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sammix.cli.options import SeriesUid


def info(
    what: Annotated[
        str,
        typer.Argument(help="A file, a folder or a model, or `models` for parameter counts.", metavar="PATH|models"),
    ],
    series: SeriesUid = None,
) -> None:
    """Tell what a scan, a data set or a model is.

    Says what would be done with it; `info models` says how large the networks are.
    """
    if what == "models":
        from sammix.networks.counts import describe_models

        print(describe_models())
        return
    from sammix.data.description import describe_path
    from sammix.models.card import close_to_shipped, describe_card, is_model, read_card

    path = Path(what)
    meant_a_model = is_model(path) or (not path.exists() and close_to_shipped(path))
    print(describe_card(read_card(path)) if meant_a_model else describe_path(path, series))
