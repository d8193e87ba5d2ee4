"""``sammix weights``: list, fetch, import, verify."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from sammix.cli.options import Quiet, first_line

weights_app = typer.Typer(help="Pretrained weights: list, fetch, import, verify.", no_args_is_help=True)


def weights_list() -> None:
    """Show the known weights and whether they are installed."""
    from sammix.models import pretrained

    for item in pretrained.listing():
        entry = item.weights
        print(f"{entry.name:14}{item.path or 'not here: sammix weights fetch ' + entry.name}")
        print(f"{'':14}{entry.description}; {entry.licence}; {sum(entry.sizes) / 2e6:.0f} MB")


def weights_fetch(name: Annotated[str, typer.Argument(help="Such as lite-medsam.")], quiet: Quiet = False) -> None:
    """Download weights, resume a broken download, check the SHA-256."""
    from sammix.models import installing

    print(installing.fetch(name, progress=not quiet))


def weights_import(
    name: Annotated[str, typer.Argument(help="Such as sam-vit-b.")],
    file: Annotated[Path, typer.Argument(help="A file you have.")],
) -> None:
    """Install weights from a file you bring."""
    from sammix.models import installing

    print(installing.import_file(name, file))


def weights_verify() -> None:
    """Check installed weights against their SHA-256."""
    from sammix.models import pretrained

    states = pretrained.verify()
    for name, state in states:
        print(f"{name}: {state}")
    if "damaged" in {state for _, state in states}:
        raise typer.Exit(1)


VERBS: dict[str, Callable[..., None]] = {
    "list": weights_list,
    "fetch": weights_fetch,
    "import": weights_import,
    "verify": weights_verify,
}
for name, verb in VERBS.items():
    weights_app.command(name, short_help=first_line(verb))(verb)
