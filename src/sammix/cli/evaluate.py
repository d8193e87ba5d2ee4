"""``sammix evaluate``."""

from __future__ import annotations

from typing import Annotated

import typer

from sammix.cli.options import (
    AllParts,
    BatchSize,
    Data,
    DeviceName,
    LabelSettings,
    Model,
    Out,
    Overwrite,
    PatientFrom,
    Quiet,
    all_settings,
    smallest_part,
)


def evaluate(
    model: Model,
    data: Data,
    out: Out,
    split: Annotated[
        str | None,
        typer.Option(
            help="train, val, test, all, or unseen: patients that the model never met. The default is test where the "
            "data has splits, else unseen."
        ),
    ] = None,
    middle_fraction: Annotated[
        float | None,
        typer.Option(min=0.01, max=1, help="Central share of each scan's slices; the model's own by default."),
    ] = None,
    settings: LabelSettings = None,
    patient_from: PatientFrom = None,
    all_parts: AllParts = False,
    overwrite: Overwrite = False,
    device: DeviceName = "auto",
    batch_size: BatchSize = 4,
    quiet: Quiet = False,
) -> None:
    """Measure a model on data with masks.

    Writes metrics.json, slices.csv with a row a slice, pictures, and report.html.
    """
    from sammix.data.loading import open_data, rules_of_model
    from sammix.evaluation.protocol import EvaluateOptions
    from sammix.evaluation.protocol import evaluate as evaluate_model
    from sammix.files import check_output
    from sammix.log import show_on_terminal
    from sammix.models.card import is_model, read_card
    from sammix.models.devices import pick_device
    from sammix.models.saved import load_model
    from sammix.report.evaluation import write_evaluation

    show_on_terminal(quiet)
    if is_model(data) and not is_model(model):
        raise typer.BadParameter(f"the model comes first: sammix evaluate {data} {model} …")
    card = read_card(model)
    rules = rules_of_model(data, card.config.data, all_settings(settings, patient_from))
    opened = open_data(data, card.organ, rules)
    check_output(out, overwrite)
    options = EvaluateOptions(
        organ=card.organ,
        split=split,
        middle_fraction=middle_fraction or card.config.data.middle_fraction,
        batch_size=batch_size,
        smallest_part=smallest_part(all_parts),
    )
    found = evaluate_model(load_model(model, pick_device(device)), opened, options, card.lineage)
    write_evaluation(out, found, overwrite)
    print(out / "report.html")
    if found.metrics.failures:
        raise typer.Exit(1)
