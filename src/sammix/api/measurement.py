"""Measure a model on data with masks, and what comes of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np

from sammix.api.callers_state import callers_state
from sammix.api.figure import Picture
from sammix.api.given import PathLike, as_path, whole_number
from sammix.api.model import ModelLike, as_model
from sammix.data.loading import open_data, rules_of_model
from sammix.errors import ConfigError
from sammix.evaluation.core import Evaluation
from sammix.evaluation.protocol import EvaluateOptions
from sammix.evaluation.protocol import evaluate as measure
from sammix.files import check_output
from sammix.inference.assemble import SMALLEST_PART

SHOWN = 6  # slices in a picture


class EvaluationResult:
    """What an evaluation found. A notebook shows it as a picture.

    Attributes:
        metrics: all figures, nested as in ``metrics.json``.
        path: the folder with tables, pictures and the report; None where none was asked for.
    """

    metrics: dict[str, Any]
    path: Path | None

    def __init__(self, found: Evaluation, path: Path | None) -> None:
        self._found, self.path = found, path
        self.metrics = found.metrics.model_dump(mode="json")

    @property
    def slices(self) -> list[dict[str, Any]]:
        """A dictionary for each slice, as ``slices.csv`` has it; None where a figure cannot be known."""
        return [row.flat() for row in self._found.slices]

    @property
    def volumes(self) -> list[dict[str, Any]]:
        """A dictionary for each scan with figures in mm, as ``volumes.csv`` has it."""
        return [dict(vars(row)) for row in self._found.volumes]

    @property
    def warnings(self) -> list[str]:
        """What may be wrong with the figures, each a line."""
        return list(self.metrics["warnings"])

    @property
    def failures(self) -> list[dict[str, str]]:
        """The cases that could not be read, with the reason. The figures are those of the others."""
        return list(self.metrics["failures"])

    @property
    def report(self) -> Path | None:
        """The page with all figures and pictures; None where no folder was asked for."""
        return None if self.path is None else self.path / "report.html"

    def show(self) -> Picture:
        """Show some of the worst, the middling and the best slices: CT, truth (blue), prediction (orange).

        Raises:
            ConfigError: no slice has a score.
        """
        from sammix.report.overlays import View, comparison

        chosen = self._found.exhibits
        if not chosen:
            raise ConfigError("no slice with the organ was measured: there is nothing to show")
        chosen = [chosen[i] for i in np.unique(np.linspace(0, len(chosen) - 1, SHOWN).round().astype(int))]
        views = [
            View.of(one.shown.ct, f"{one.kind}: Dice {one.dice:.3f}\n{one.row.case}, slice {one.row.slice}")
            for one in chosen
        ]
        views = [replace(view, truth=one.shown.truth) for view, one in zip(views, chosen, strict=True)]
        png = comparison(views, [("prediction", [one.shown.written for one in chosen])])
        return Picture(png)

    def _repr_png_(self) -> bytes | None:
        return self.show().png if self._found.exhibits else None

    def __repr__(self) -> str:
        protocol, counts, dice = (self.metrics[key] for key in ("protocol", "counts", "written"))
        mean = dice["dice"]["mean"]
        figure = "no slice with a score" if mean is None else f"Dice {mean:.3f} over {counts['scored']} slices"
        missed = f", {dice['missed']} missed" if dice["missed"] else ""
        return (
            f"EvaluationResult({protocol['model']} on {protocol['dataset']}, split {protocol['split']}: "
            f"{figure}{missed}; patients: {counts['patients']})"
        )


def evaluate(
    model: ModelLike,
    data: PathLike,
    *,
    out: PathLike | None = None,
    split: str | None = None,
    middle_fraction: float | None = None,
    settings: Mapping[str, Any] | None = None,
    all_parts: bool = False,
    batch_size: int = 4,
    overwrite: bool = False,
    progress: bool = False,
) -> EvaluationResult:
    """Measure a model against masks, by the protocol of ``docs/evaluation.md``, in which misses count.

    No figure is made of a patient that the model knows, unless that is asked for with ``split``; then a warning says
    so.

    Args:
        model: from `load` or `fit`; or a run's folder, a model's folder or a shipped model's name.
        data: a folder in any supported layout, or a prepared store (``.h5``).
        out: a new or empty folder for ``metrics.json``, tables, pictures and ``report.html``; None: write nothing.
        split: ``train``, ``val``, ``test``, ``unseen`` (all patients that the model never met) or ``all``. None: test
            where the data has splits, else unseen.
        middle_fraction: central share of each scan's slices that enter the figures by slice; None: the model's own.
        settings: how labels and masks are read, ``{"data.undrawn": "no"}``; also ``data.label``, ``data.ignore`` and
            ``data.patient_from``. None: as the model's fit read them.
        all_parts: of scans, as `predict` takes it.
        batch_size: slices that go through the network together.
        overwrite: replace an earlier evaluation in ``out``.
        progress: show progress on standard error.

    Returns:
        All figures, the rows of each slice and scan, and what was suspicious.

    Raises:
        SammixError: the model or the data cannot be used, nobody is left to measure, or ``out`` holds something.

    >>> found = sammix.evaluate(run, folder)
    >>> found.metrics["protocol"]["split"], found.metrics["counts"]["patients"], len(found.slices), found.report
    ('unseen', 1, 12, None)
    """
    source, folder = as_path(data, "data"), None if out is None else as_path(out, "out")
    batch_size = whole_number(batch_size, "batch_size", least=1)
    if middle_fraction is not None and not _is_share(middle_fraction):
        raise ConfigError(f"middle_fraction must be a number above 0 and at most 1, not {middle_fraction!r}")
    if folder is not None:
        check_output(folder, overwrite, remedy="name another folder, or say overwrite=True")
    with callers_state(progress):
        trained = as_model(model)
        options = EvaluateOptions(
            organ=trained.organ,
            split=split,
            middle_fraction=middle_fraction or trained.card.config.data.middle_fraction,
            batch_size=batch_size,
            smallest_part=0 if all_parts else SMALLEST_PART,
        )
        rules = rules_of_model(source, trained.card.config.data, settings or {})
        data_set = open_data(source, trained.organ, rules)
        found = measure(trained.network, data_set, options, trained.card.lineage)
        if folder is not None:
            from sammix.report.evaluation import write_evaluation

            write_evaluation(folder, found, overwrite)
    return EvaluationResult(found, folder)


def _is_share(value: object) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool) and 0 < float(value) <= 1
