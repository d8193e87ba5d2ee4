"""``sammix prepare``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sammix.cli.options import (
    PatientFrom,
    Quiet,
    Scheduler,
    Settings,
    Workers,
    all_settings,
    engine_of,
    leave_cleanly_on_sigterm,
)


def prepare(
    source: Annotated[Path, typer.Argument(help="A folder in any supported layout.", metavar="SOURCE")],
    out: Annotated[Path, typer.Option("--out", help="The store to write (.h5).")],
    preset: Annotated[
        str, typer.Option(help="The preset of the fits that will use the store: which slices, and their size.")
    ] = "lite",
    settings: Settings = None,
    patient_from: PatientFrom = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a store that is there already.")] = False,
    workers: Workers = 0,
    scheduler: Scheduler = None,
    quiet: Quiet = False,
) -> None:
    """Window, resize and store all slices of a data set once.

    The store is one HDF5 file, which fit and evaluate take in place of the data.
    """
    from sammix.config import load_preset
    from sammix.data.preparing import prepare as prepare_store
    from sammix.log import show_on_terminal

    show_on_terminal(quiet)
    leave_cleanly_on_sigterm()
    engine = engine_of(workers, scheduler)
    data = load_preset(preset, all_settings(settings, patient_from)).data
    if engine:  # other processes have other working directories
        count = prepare_store(source.absolute(), out.absolute(), data, overwrite, engine)
    else:
        count = prepare_store(source, out, data, overwrite)
    print(f"{count} slices in {out}")
