"""The program ``sammix``: its verbs, and what becomes of an error."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from sammix import __version__
from sammix.cli.allocator import keep_freed_memory
from sammix.cli.demo import demo
from sammix.cli.distill import distill
from sammix.cli.evaluate import evaluate
from sammix.cli.fit import fit
from sammix.cli.info import info
from sammix.cli.label import label
from sammix.cli.node import node
from sammix.cli.options import first_line
from sammix.cli.predict import predict
from sammix.cli.prepare import prepare
from sammix.cli.report import report
from sammix.cli.reproduce import reproduce
from sammix.cli.suggest import suggest
from sammix.cli.weights import weights_app

INTERRUPTED = 130
"""The exit code that typer makes of Ctrl-C, as shells do."""

app = typer.Typer(
    help="Organ masks in CT from yes/no labels and a handful of annotated slices. Not for clinical use.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for verb in (demo, label, prepare, fit, distill, predict, evaluate, suggest, reproduce, report, node, info):
    app.command(short_help=first_line(verb))(verb)
app.add_typer(weights_app, name="weights", short_help=weights_app.info.help)


@app.callback(invoke_without_command=True)
def _root(version: Annotated[bool, typer.Option("--version", help="Show the version and leave.")] = False) -> None:
    if version:
        print(f"sammix {__version__}")
        raise typer.Exit


def main() -> None:
    """Run the command line: one clear line and exit code 2 for whatever the user can mend."""
    from sammix.errors import SammixError
    from sammix.log import on_terminal

    # OpenMP's threads spin while they wait for each other. On a machine that is busy with something else as well
    # that costs ten times the work itself; sleeping costs nothing measurable on an idle one.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    keep_freed_memory()
    try:
        with on_terminal():
            app()
    except SammixError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except OSError as error:  # a disk that is full, a folder without permission
        print(f"error: {error.filename or 'a file'}: {error.strerror or error}", file=sys.stderr)
        sys.exit(2)
    except SystemExit as leave:
        if leave.code == INTERRUPTED:
            print("interrupted; what was finished is whole", file=sys.stderr)
        raise
