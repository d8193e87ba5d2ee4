"""``sammix fit``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sammix.cli.options import Data, DeviceName, Out, PatientFrom, Quiet, Settings, label_count, settings_of_run


def fit(
    data: Data,
    out: Out,
    labels: Annotated[
        str | None,
        typer.Option(help="How many annotated slices to use, or 'all' of them.", show_default="50"),
    ] = None,
    preset: Annotated[
        str | None,
        typer.Option(help="lite, paper, tiny, or a baseline's: `sammix info models` lists them.", show_default="lite"),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(min=0, help="Decides the splits, the annotated slices, and all that is random.", show_default="0"),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue an interrupted run.")] = False,
    settings: Settings = None,
    patient_from: PatientFrom = None,
    start: Annotated[
        Path | None, typer.Option("--from", help="Go on from a trained model: a folder, or liver-ct-lite.")
    ] = None,
    cache: Annotated[
        Path | None,
        typer.Option(help="Keep the frozen stages' features in this folder, for other runs on the same data."),
    ] = None,
    device: DeviceName = "auto",
    devices: Annotated[int, typer.Option(min=1, help="How many GPUs.")] = 1,
    quiet: Quiet = False,
) -> None:
    """Train on yes/no labels for all slices and masks for a few."""
    from sammix.config import load_preset
    from sammix.log import show_on_terminal
    from sammix.training.fitting import DEFAULT_PRESET, FitRequest, Hardware, is_first_process
    from sammix.training.fitting import fit as fit_model
    from sammix.training.run_folder import RunFolder

    show_on_terminal(quiet)
    lines = settings_of_run(settings, patient_from, resume)
    config = load_preset(preset or DEFAULT_PRESET, lines) if preset or lines else None
    asked = FitRequest(config, None if labels is None else label_count(labels), seed, start)
    model = fit_model(data, RunFolder(out, cache), asked, Hardware(device, devices), resume=resume)
    if is_first_process():
        print(model)
