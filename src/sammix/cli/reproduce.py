"""``sammix reproduce``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sammix.cli.options import (
    DeviceName,
    PatientFrom,
    Quiet,
    Scheduler,
    Settings,
    all_settings,
    label_counts,
    leave_cleanly_on_sigterm,
)


def reproduce(
    out: Annotated[Path, typer.Option("--out", help="The grid's folder; an earlier grid in it is continued.")],
    data: Annotated[
        Path | None, typer.Argument(help="In-domain data, as for fit; without it, synthetic patients.", metavar="DATA")
    ] = None,
    across: Annotated[
        list[Path] | None, typer.Option("--cross", help="Data of other hospitals; may be repeated.")
    ] = None,
    methods: Annotated[
        str, typer.Option(help="Names separated by commas; by default all that need neither a GPU nor nnU-Net.")
    ] = "",
    labels: Annotated[
        str, typer.Option(help="Numbers of annotated slices or 'all', separated by commas [5,50,100].")
    ] = "",
    seeds: Annotated[int | None, typer.Option(min=1, help="How many seeds, from 0 on [5; with --small 1].")] = None,
    small: Annotated[bool, typer.Option("--small", help="Fewer epochs: a night on two CPU cores.")] = False,
    smoke: Annotated[
        bool, typer.Option("--smoke", help="Toy networks, a minute in all: shows that everything runs.")
    ] = False,
    split: Annotated[str | None, typer.Option(help="A named split of a public data set: paper-v1.")] = None,
    settings: Settings = None,
    patient_from: PatientFrom = None,
    jobs: Annotated[
        int, typer.Option("--jobs", "--workers", min=1, help="How many jobs at a time (extra cluster for several).")
    ] = 1,
    scheduler: Scheduler = None,
    device: DeviceName = "auto",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Prepare data and list the jobs; train nothing.")] = False,
    quiet: Quiet = False,
) -> None:
    """Make the paper's two tables and its figures.

    Trains and compares the paper's methods in one grid of jobs, which can be interrupted and resumed.
    """
    from sammix.log import show_on_terminal
    from sammix.models.devices import pick_device
    from sammix.reproduce.paper import reproduce as run_reproduction
    from sammix.reproduce.plan import FULL, SMALL, SMOKE

    show_on_terminal(quiet)
    leave_cleanly_on_sigterm()
    pick_device(device)
    if small and smoke:
        raise typer.BadParameter("--small and --smoke do not go together")
    failed = run_reproduction(
        data,
        out,
        across=across or [],
        methods=[name.strip() for name in methods.split(",") if name.strip()],
        labels=label_counts(labels),
        seeds=seeds,
        size=SMOKE if smoke else SMALL if small else FULL,
        settings=all_settings(settings, patient_from),
        split=split,
        workers=jobs,
        scheduler=scheduler,
        device=device,
        dry_run=dry_run,
    )
    if failed:
        raise typer.Exit(1)
