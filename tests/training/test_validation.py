from __future__ import annotations

import numpy as np
import pytest
import torch

from sammix.config import load_preset
from sammix.data.preprocess import Preprocess
from sammix.models.registry import build_model
from sammix.networks.interface import SlicePrediction
from sammix.training.batches import Batch
from sammix.training.validation import selection_score, validate


class Bright(torch.nn.Module):
    """Marks what is bright, and is sure of the organ in proportion to it."""

    def validate(self, batch: Batch, rows: torch.Tensor) -> tuple[torch.Tensor, SlicePrediction]:
        assert not self.training
        presence = batch.images.mean(dim=(1, 2, 3))
        return presence, SlicePrediction(batch.images[rows, 0], presence[rows], None, None, "none")


def batch(*labels: int, has_mask: bool = True) -> Batch:
    masks = torch.zeros(len(labels), 8, 8, dtype=torch.uint8)
    masks[torch.tensor(labels) == 1, :4] = 1
    return Batch(masks[:, None].float(), torch.tensor(labels), masks, torch.tensor([has_mask] * len(labels)))


def test_dice_of_masks_and_auc_of_labels() -> None:
    found = validate(Bright(), [batch(1, 0), batch(0, 1)], np.array(["a", "b", "c", "d"]))
    assert found.metrics == {"val_dice": 1.0, "val_auc": 1.0}
    assert found.measured.patient.tolist() == ["a", "d"]
    assert found.measured.size.tolist() == [64, 64]
    assert np.isnan(found.measured.disagreement).all()


@pytest.mark.parametrize(
    ("batches", "dice", "auc"),
    [
        ([], None, None),
        ([batch(1, 1)], 1.0, None),
        ([batch(0, 1, has_mask=False)], None, 1.0),
        ([batch(0)], None, None),
    ],
)
def test_what_cannot_be_told_is_none(batches: list[Batch], dice: float | None, auc: float | None) -> None:
    assert validate(Bright(), batches, np.array(["a", "b"])).metrics == {"val_dice": dice, "val_auc": auc}


def test_the_network_computes_in_the_precision_asked_for(four: Batch, small_grid: Preprocess) -> None:
    """Batches are made outside of it: half-precision features cannot be moved about inside."""
    network = build_model(load_preset("tiny", ["data.size=32"]), small_grid)[0]
    features = network.features(four.images).half()
    motion = torch.eye(2, 3).expand(4, 2, 3)
    moved = Batch(four.images, four.labels, four.masks, four.has_mask, features, motion)
    found = validate(network, [moved], np.arange(4), lambda: torch.autocast("cpu", torch.bfloat16))
    assert found.metrics["val_dice"] is not None


@pytest.mark.parametrize(
    ("dice", "auc", "chosen"),
    [(0.8, 0.9, (0.8, "val_dice")), (None, 0.9, (0.9, "val_auc")), (None, None, (0.0, "last epoch"))],
)
def test_what_the_best_epoch_is_chosen_by(dice: float | None, auc: float | None, chosen: tuple[float, str]) -> None:
    assert selection_score({"val_dice": dice, "val_auc": auc}) == chosen
