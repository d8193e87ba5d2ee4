"""``sammix distill``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sammix.cli.options import DeviceName, Model, Out, PatientFrom, Quiet, Settings, settings_of_run


def distill(
    model: Model,
    data: Annotated[
        list[Path],
        typer.Argument(help="Prepared stores (.h5) or folders in supported layouts; labels may be missing."),
    ],
    out: Out,
    seed: Annotated[
        int | None,
        typer.Option(min=0, help="Decides the splits, and all that is random.", show_default="0"),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue an interrupted run.")] = False,
    settings: Settings = None,
    patient_from: PatientFrom = None,
    cache: Annotated[
        Path | None, typer.Option(help="Keep the teacher's answers in this folder, for other students.")
    ] = None,
    device: DeviceName = "auto",
    quiet: Quiet = False,
) -> None:
    """Train a small, fast student on a model's answers.

    The student is used as any other model. It also takes the place of the classifier that prompts its teacher's SAM:
    that is a second model, in the folder prompted.
    """
    from sammix.config import load_preset
    from sammix.log import show_on_terminal
    from sammix.training.fitting import STUDENT, FitRequest, Hardware
    from sammix.training.fitting import fit as fit_model
    from sammix.training.run_folder import RunFolder

    show_on_terminal(quiet)
    lines = settings_of_run(settings, patient_from, resume)
    asked = FitRequest(load_preset(STUDENT, lines), labels="all", seed=seed, teacher=model)
    run = RunFolder(out, cache)
    print(fit_model(data, run, asked, Hardware(device), resume=resume))
    if run.prompted_folder.exists():
        print(run.prompted_folder)
