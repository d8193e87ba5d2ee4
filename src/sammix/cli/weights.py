"""``sammix weights``: list, fetch, import, verify."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sammix.cli.options import Quiet

weights_app = typer.Typer(help="Pretrained weights: list, fetch, import, verify.", no_args_is_help=True)


@weights_app.command("list")
def weights_list() -> None:
    """Show the known weights and whether they are installed."""
    from sammix.models import pretrained

    for item in pretrained.listing():
        entry = item.weights
        print(f"{entry.name:14}{item.path or 'not here: sammix weights fetch ' + entry.name}")
        print(f"{'':14}{entry.description}; {entry.licence}; {sum(entry.sizes) / 2e6:.0f} MB")


@weights_app.command("fetch")
def weights_fetch(name: Annotated[str, typer.Argument(help="Such as lite-medsam.")], quiet: Quiet = False) -> None:
    """Download weights, resume a broken download, check the SHA-256."""
    from sammix.models import installing

    print(installing.fetch(name, progress=not quiet))


@weights_app.command("import")
def weights_import(
    name: Annotated[str, typer.Argument(help="Such as sam-vit-b.")],
    file: Annotated[Path, typer.Argument(help="A file you have.")],
) -> None:
    """Install weights from a file you bring."""
    from sammix.models import installing

    print(installing.import_file(name, file))


@weights_app.command("verify")
def weights_verify() -> None:
    """Check installed weights against their SHA-256."""
    from sammix.models import pretrained

    states = pretrained.verify()
    for name, state in states:
        print(f"{name}: {state}")
    if "damaged" in {state for _, state in states}:
        raise typer.Exit(1)
