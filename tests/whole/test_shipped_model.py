"""The models that come with the package."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from sammix.config import load_preset
from sammix.data.scan_slices import extract
from sammix.data.splits import TRAIN, VAL, split_by_patient
from sammix.evaluation.metrics import dice
from sammix.io import open_dataset
from sammix.models.card import DEFAULT_MODEL, FAST_MODEL, SHIPPED_FOLDER, read_card, shipped_models
from sammix.models.saved import load_model
from sammix.networks.interface import MASK_THRESHOLD
from sammix.training.fitting import FitRequest, Hardware, fit
from sammix.training.run_folder import RunFolder

MEGABYTES = 1_000_000
LIMITS = {DEFAULT_MODEL: 12 * MEGABYTES, FAST_MODEL: 6 * MEGABYTES}
"""Of each model's folder, in bytes."""


@pytest.fixture(params=sorted(LIMITS))
def name(request: pytest.FixtureRequest) -> str:
    """Each model that ``predict`` takes by itself; where it needs LiteMedSAM's weights, with these."""
    if read_card(Path(request.param)).base_sha256 is not None:
        request.getfixturevalue("lite_medsam")
    return str(request.param)


def test_it_is_small_and_says_what_it_is(name: str) -> None:
    assert name in shipped_models()
    folder = SHIPPED_FOLDER / name
    assert sum(file.stat().st_size for file in folder.iterdir()) < LIMITS[name]
    card = read_card(Path(name))
    assert (card.name, card.organ) == (name, "liver")
    assert card.licence
    assert "Not a medical device" in card.notes
    text = (folder / "MODEL_CARD.md").read_text(encoding="utf-8")
    for source, licence in card.data["sources"].items():
        assert source in text
        assert licence in text


def test_it_finds_the_liver_in_another_hospitals_scan(name: str, real_data: Path) -> None:
    model = load_model(Path(name))
    case = open_dataset(real_data / "chaos-ct-3").cases[0]
    stack = extract(case, model.preprocess, middle_fraction=1.0)
    assert stack.masks is not None
    sizes = stack.masks.reshape(len(stack.masks), -1).sum(axis=1)
    rows = np.linspace(sizes.argmax() - 10, sizes.argmax() + 10, 3).astype(int)
    found = model.segment(model.encode(torch.from_numpy(stack.images[rows].astype(np.float32))[:, None]))
    for probability, truth in zip(found.probability.float().numpy(), stack.masks[rows], strict=True):
        assert (dice(probability >= MASK_THRESHOLD, truth) or 0) > 0.9


def test_the_fast_one_needs_no_weights_from_elsewhere() -> None:
    assert read_card(Path(FAST_MODEL)).base_sha256 is None


@pytest.fixture
def three_patients(hospital_a: Path, tmp_path: Path) -> Path:
    """Two patients to train on and one to validate on: each slice costs a third of a second."""
    splits = split_by_patient(np.array([f"volume-{number}" for number in range(6)]), 0.15, 0.2, seed=0)
    folder = tmp_path / "three"
    folder.mkdir()
    for number in (*np.flatnonzero(splits == TRAIN)[:2], *np.flatnonzero(splits == VAL)[:1]):
        for file in hospital_a.glob(f"*-{number}.nii*"):
            shutil.copy(file, folder)
    return folder


@pytest.mark.usefixtures("lite_medsam")
def test_a_fit_goes_on_from_it(three_patients: Path, tmp_path: Path) -> None:
    settings = ["data.middle_fraction=0.6", "fit.epochs=1", "fit.views=0", "fit.batch_size=12", "fit.decoded=2"]
    run = tmp_path / "run"
    fit(
        three_patients,
        RunFolder(run),
        FitRequest(load_preset("lite", settings), labels=4, start=Path(DEFAULT_MODEL)),
        Hardware("cpu"),
    )
    card = read_card(run)
    assert card.config.model == read_card(Path(DEFAULT_MODEL)).config.model
    assert card.metrics["val_dice"] > 0.5  # phantoms, after a handful of steps
