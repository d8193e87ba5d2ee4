"""Name the slices that are worth annotating next."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sammix.api.callers_state import callers_state
from sammix.api.figure import Picture
from sammix.api.given import PathLike, as_path, whole_number
from sammix.api.model import ModelLike, as_model
from sammix.data.loading import load_table, rules_of_model
from sammix.files import check_output
from sammix.inference import suggestions
from sammix.report.preview import write_strip
from sammix.report.sheets import write_sheets

SHOWN = 5  # slices in a picture


class Suggestions:
    """Slices to annotate next, the most doubtful first. A notebook shows them as a picture."""

    def __init__(self, found: list[suggestions.Suggestion]) -> None:
        self._found = found

    @property
    def slices(self) -> list[dict[str, Any]]:
        """A dictionary for each: ``case``, ``slice``, ``patient``, ``doubt`` and ``presence``, both in [0, 1]."""
        return [one.row for one in self._found]

    def show(self) -> Picture:
        """Show the first few: CT, activation map, prompt, mask."""
        shown = self._found[:SHOWN]
        captions = [f"doubt {one.doubt:.2f}\n{one.case}, slice {one.slice}" for one in shown]
        return Picture.drawn_by(lambda path: write_strip(path, [one.evidence for one in shown], captions))

    def save(self, folder: PathLike) -> Path:
        """Write ``suggestions.csv`` and pictures of all slices.

        Args:
            folder: a new or empty one.

        Returns:
            The folder.

        Raises:
            OutputError: the folder holds something, or cannot be written.
        """
        target = as_path(folder, "folder")
        check_output(target, overwrite=False, remedy="name another folder")
        write_sheets(target, self._found)
        suggestions.write_suggestions(target / "suggestions.csv", self._found)
        return target

    def _repr_png_(self) -> bytes:
        return self.show().png

    def __repr__(self) -> str:
        first = self._found[0]
        return (
            f"Suggestions({len(self._found)} slices; first {first.case}, slice {first.slice}, doubt {first.doubt:.2f})"
        )


def suggest(
    model: ModelLike,
    data: PathLike,
    count: int = 10,
    *,
    settings: Mapping[str, Any] | None = None,
    batch_size: int = 4,
    progress: bool = False,
) -> Suggestions:
    """Find the slices without a mask that a model doubts most: annotate those next.

    Args:
        model: from `load` or `fit`; or a run's folder, a model's folder or a shipped model's name.
        data: a folder in any supported layout, or a prepared store (``.h5``).
        count: how many; fewer where there are not so many.
        settings: how labels and masks are read, as `evaluate` takes them.
        batch_size: slices that go through the network together.
        progress: show progress on standard error.

    Returns:
        The slices, with pictures.

    Raises:
        SammixError: the model or the data cannot be used, the model has no activation map, or no slice is left.

    >>> new = sammix.make_phantoms("new", patients=2, seed=7, shape=(72, 72, 12))
    >>> (new / "segmentation-1.nii").unlink()  # nobody has drawn in this scan yet
    >>> [one["case"] for one in sammix.suggest(run, new, count=3).slices]
    ['volume-1', 'volume-1', 'volume-1']
    """
    source = as_path(data, "data")
    wanted, at_once = whole_number(count, "count", least=1), whole_number(batch_size, "batch_size", least=1)
    with callers_state(progress):
        trained = as_model(model)
        config = rules_of_model(source, trained.card.data_config(), settings or {})
        table = trained.card.as_fitted(load_table(source, config))
        return Suggestions(suggestions.suggest(trained.network, table, wanted, batch_size=at_once))
