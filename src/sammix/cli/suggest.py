"""``sammix suggest``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sammix.cli.options import BatchSize, Data, DeviceName, LabelSettings, Out, PatientFrom, Quiet, all_settings


def suggest(
    data: Data,
    model: Annotated[Path, typer.Option("--model", help="The run or model whose most doubtful slices are named.")],
    out: Out,
    count: Annotated[int, typer.Option("-n", min=1, help="How many slices.")] = 10,
    settings: LabelSettings = None,
    patient_from: PatientFrom = None,
    device: DeviceName = "auto",
    batch_size: BatchSize = 4,
    quiet: Quiet = False,
) -> None:
    """Name the slices that are most worth annotating next.

    They are the unannotated slices that the model doubts most; each gets a picture.
    """
    from sammix.data.loading import load_table, rules_of_model
    from sammix.files import check_output
    from sammix.inference.suggestions import suggest as suggest_slices
    from sammix.inference.suggestions import write_suggestions
    from sammix.log import show_on_terminal
    from sammix.models.card import read_card
    from sammix.models.devices import pick_device
    from sammix.models.saved import load_model
    from sammix.report.sheets import write_sheets

    show_on_terminal(quiet)
    check_output(out, overwrite=False)
    card, network = read_card(model), load_model(model, pick_device(device))
    config = rules_of_model(data, card.data_config(), all_settings(settings, patient_from))
    table = card.as_fitted(load_table(data, config))  # what a fit will not train on is not worth annotating
    found = suggest_slices(network, table, count, batch_size=batch_size)
    write_sheets(out, found)
    write_suggestions(out / "suggestions.csv", found)
    for one in found:
        print(f"{one.doubt:.2f}  {one.case}  slice {one.slice}")
    print(out / "suggestions.png")
