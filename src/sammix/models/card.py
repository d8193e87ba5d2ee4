"""A saved model's card, ``model.json``: how it was made, how it is to be fed, whom it knows. And where models lie."""

from __future__ import annotations

import difflib
import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sammix.config import Config, DataConfig
from sammix.data.lineage import KnownPatient, Lineage
from sammix.data.preprocess import Preprocess
from sammix.data.splits import split_by_patient
from sammix.data.table import SliceTable
from sammix.errors import InputError
from sammix.files import PLAIN_NAME
from sammix.io.limits import check_text
from sammix.networks.quality import Quality

FORMAT = "sammix-model-2"
FIRST_FORMAT = "sammix-model-1"
"""Without lineage: it names cases with their splits, not patients. It is still read."""

SHIPPED_FOLDER = Path(__file__).parent / "shipped"
DEFAULT_MODEL, FAST_MODEL = "liver-ct-lite", "liver-ct-fast"


class ModelCard(BaseModel):
    """``model.json``.

    Attributes:
        version: of a model that comes with the package, whose name stays the same; None of others.
        base_sha256: of the frozen base (LiteMedSAM, SAM), which is named here and not copied; None where there is none.
        data: what the fit was made of: name, fingerprints, seed, number of labels, splits, and the annotated slices
            (``drawn``).
        lineage: the patients that this model, or a model that it began from, has learned from or was chosen on.
        metrics: of the chosen epoch, on the validation slices.
        quality: how good a mask is to be expected, told without a truth; None where there were too few validation
            patients with drawn slices to learn it from.
    """

    model_config = ConfigDict(extra="forbid")

    format: str = FORMAT
    name: str
    version: str | None = None
    organ: str = Field(pattern=PLAIN_NAME)
    config: Config
    preprocess: Preprocess
    base_sha256: str | None
    data: dict[str, Any]
    lineage: Lineage = Lineage()
    metrics: dict[str, Any]
    quality: Quality | None = None
    licence: str | None = None
    notes: str = "Not for clinical use."

    def as_fitted(self, table: SliceTable) -> SliceTable:
        """Slices under the splits of a fit with this model's seed and shares, where they are of this model's data.

        Other data, and data with splits of its own, stay as they are.
        """
        if table.name != self.data.get("name") or (table.split != "").any():
            return table
        shares = self.config.data.val_fraction, self.config.data.test_fraction
        return table.with_split(split_by_patient(table.patient, *shares, int(self.data["seed"])))

    def data_config(self) -> DataConfig:
        """Settings by which any data is made into slices as this model was fed."""
        window = {"window_level": self.preprocess.window_level, "window_width": self.preprocess.window_width}
        return self.config.data.model_copy(update={"organ": self.organ, "size": self.preprocess.size, **window})


def shipped_models() -> list[str]:
    """The names of the trained models that come with the package."""
    return sorted(file.parent.name for file in SHIPPED_FOLDER.glob("*/model.json"))


def is_model(path: Path) -> bool:
    """Whether ``path`` is a run's folder, a saved model's folder or a shipped model's name."""
    return _model_folder(path) is not None


def find_model(path: Path) -> Path:
    """The folder with ``model.json``: the path itself, ``model/`` in a run's folder, or a shipped model's.

    Raises:
        InputError: there is none.
    """
    folder = _model_folder(path)
    if folder is None:
        problem = "holds no model (no model.json)" if path.exists() else "does not exist"
        known = ", ".join(["a run's folder", "a saved model's folder", *shipped_models()])
        meant = close_to_shipped(path)
        raise InputError(path, problem, f"did you mean {meant}?" if meant else f"name one of: {known}")
    return folder


def close_to_shipped(path: Path) -> str | None:
    """Find the shipped model that a name was probably meant to be.

    >>> close_to_shipped(Path("liver-ct-light"))
    'liver-ct-lite'
    """
    return next(iter(difflib.get_close_matches(str(path), shipped_models(), n=1, cutoff=0.7)), None)


def describe_card(card: ModelCard) -> str:
    """Tell what a model is for, what it is fed, and whom it knows, in a few lines."""
    model, grid, known = card.config.model, card.preprocess, card.lineage.patients
    learned = sum(patient.split == "train" for patient in known)
    network = model.kind if card.base_sha256 is None else f"{model.kind} on {model.encoder}"
    lines = [
        f"model {card.name}{f', version {card.version}' if card.version else ''}, for the {card.organ}",
        f"{network}, {grid.size} px, window {grid.window_level:g}/{grid.window_width:g} HU",
        f"knows {len(known)} patients: it has learned from {learned} and was chosen on {len(known) - learned}",
    ]
    figures = {"val_dice": "mean Dice", "val_auc": "AUC"}
    seen = [f"{words} {card.metrics[key]:.3f}" for key, words in figures.items() if card.metrics.get(key) is not None]
    if seen:
        lines.append(f"on its own validation slices: {', '.join(seen)}")
    if card.licence:
        lines.append(f"licence: {card.licence}")
    return "\n".join([*lines, "for predict, evaluate, suggest, and fit --from"])


def read_card(path: Path) -> ModelCard:
    """``model.json`` of a run or a saved model.

    Raises:
        InputError: there is none, it is damaged, or another version of sammix wrote it.
    """
    file = find_model(path) / "model.json"
    check_text(file)
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
        if not isinstance(values, dict):
            raise TypeError("it is no JSON object")
    except (ValueError, TypeError, RecursionError) as error:
        raise InputError(file, "is damaged: it is not JSON as sammix writes it", "fit the model again") from error
    return parse_card(file, values)


def parse_card(file: Path, values: dict[str, Any]) -> ModelCard:
    """Check a card's plain values.

    Args:
        file: where they are from, for messages.

    Raises:
        InputError: naming the version, or the first key that does not fit.
    """
    found = values.get("format")
    if found not in (FORMAT, FIRST_FORMAT):
        raise InputError(
            file,
            f"has the format {found!r}, where this version of sammix reads {FORMAT} and {FIRST_FORMAT}",
            "use the version of sammix that saved it, or fit the model again",
        )
    try:
        return ModelCard.model_validate(_second(values) if found == FIRST_FORMAT else values)
    except ValidationError as error:
        raise InputError(file, misfit(error, found), "use the version of sammix that saved it") from error


def misfit(error: ValidationError, version: str) -> str:
    """In plain words, which key of a file does not fit this version of sammix."""
    first = error.errors()[0]
    key = ".".join(str(part) for part in first["loc"])
    what = {"missing": "is missing", "extra_forbidden": "is not known"}.get(
        first["type"], "has a value that does not fit"
    )
    return f"of format {version}: its key {key} {what} in this version of sammix"


def _second(values: dict[str, Any]) -> dict[str, Any]:
    """A card of the first format as one of the second. Its cases stand for patients, which it does not name."""
    data = values.get("data") or {}
    splits, dataset = data.get("splits") or {}, str(data.get("name", ""))
    known = [
        KnownPatient(name=case, dataset=dataset, split=split, digests=())
        for case, split in sorted(splits.items())
        if split in ("train", "val")
    ]
    return {**values, "format": FORMAT, "lineage": Lineage(patients=tuple(known)).model_dump()}


def _model_folder(path: Path) -> Path | None:
    for folder in (path, path / "model"):
        if (folder / "model.json").is_file():
            return folder
    return SHIPPED_FOLDER / path if str(path) in shipped_models() else None
