"""``sammix label``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sammix.cli.options import Quiet


def label(
    data: Annotated[
        Path, typer.Argument(help="What to label: scans in any form that predict reads, or a data set.", metavar="DATA")
    ],
    model: Annotated[Path | None, typer.Option("--model", help="A model to begin with.", show_default="none")] = None,
    preset: Annotated[str, typer.Option(help="Its network and settings are used where no model is given.")] = "lite",
    store: Annotated[
        Path | None, typer.Option(help="Where answers are kept.", show_default="DATA-labels, beside the data")
    ] = None,
    organ: Annotated[
        str | None, typer.Option(help="The organ to label.", show_default="what the data names, else the liver")
    ] = None,
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="The port to listen at; 0 takes any that is free.")
    ] = 8765,
    host: Annotated[str, typer.Option(help="The address to listen at; with any but this one, others can reach it.")] = (
        "127.0.0.1"
    ),
    allow_host: Annotated[
        list[str] | None,
        typer.Option("--allow-host", metavar="NAME", help="Another name under which the page is found; repeatable."),
    ] = None,
    annotator: Annotated[
        str | None, typer.Option(help="Who labels; can be changed on the page.", show_default="the user's name")
    ] = None,
    open_browser: Annotated[bool, typer.Option("--open/--no-open", help="Open the page in a browser.")] = True,
    slicer: Annotated[bool, typer.Option("--slicer", help="Let 3D Slicer's module MONAI Label work with it.")] = False,
    quiet: Quiet = False,
) -> None:
    """Label in a browser: yes or no by key, masks of a few slices."""
    import getpass
    import re

    from sammix.config import load_preset
    from sammix.errors import needs_extra
    from sammix.files import PLAIN_NAME
    from sammix.log import show_on_terminal

    show_on_terminal(quiet)
    for option, name in (("--organ", organ), ("--annotator", annotator)):
        if name is not None and not re.fullmatch(PLAIN_NAME, name):
            raise typer.BadParameter(f"{option} takes a name of up to 64 characters, without slashes, not '{name}'")
    for name in allow_host or []:
        if not re.fullmatch(r"[A-Za-z0-9_.-]+", name):
            raise typer.BadParameter(f"--allow-host takes a name such as labels.example.org, not '{name}'")
    load_preset(preset)
    with needs_extra("label", "the page"):
        from sammix.label.serving import Wanted, serve
    who, hosts = annotator or getpass.getuser(), tuple(allow_host or ())
    serve(Wanted(data, store, organ, host, port, hosts, who, model, preset, slicer=slicer), open_browser)
