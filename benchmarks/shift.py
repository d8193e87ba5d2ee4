"""How a fit stands other scanners: validation slices as a coarse, noisy, dark, bright, wide or plain scan shows them.

    python benchmarks/shift.py runs/fit50 ../shared/data/liver-slices

Every positive slice with a mask is segmented; with up to 24 slices without the organ it is also classified. What a
scan would have changed is imitated, so this only ranks fits; a real other hospital has the last word. The test split
is not touched.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from sammix.data.loading import load_table
from sammix.data.splits import VAL
from sammix.data.table import SliceTable
from sammix.evaluation.metrics import dice
from sammix.log import track
from sammix.models.card import read_card
from sammix.models.devices import pick_device
from sammix.models.saved import load_model
from sammix.networks.interface import MASK_THRESHOLD, PRESENCE_THRESHOLD, Segmenter

Scan = Callable[[Tensor, Tensor, torch.Generator], tuple[Tensor, Tensor]]
NEGATIVES = 24
BATCH = 4
MUSCLE = 50.0  # HU


def coarse(image: Tensor, mask: Tensor, _: torch.Generator) -> tuple[Tensor, Tensor]:
    """Pixels of 2.3 times the side."""
    return _resize(_resize(image, 110), len(image)), mask


def noisy(image: Tensor, mask: Tensor, chance: torch.Generator) -> tuple[Tensor, Tensor]:
    """A low dose: 5 % of the window in every pixel."""
    return _with_noise(image, 0.05, chance), mask


def coarse_and_noisy(image: Tensor, mask: Tensor, chance: torch.Generator) -> tuple[Tensor, Tensor]:
    """Noise in large pixels does not average out."""
    return _resize(_with_noise(_resize(image, 120), 0.06, chance), len(image)), mask


def dark(image: Tensor, mask: Tensor, _: torch.Generator) -> tuple[Tensor, Tensor]:
    """Little contrast agent."""
    return image * 0.7, mask


def bright(image: Tensor, mask: Tensor, _: torch.Generator) -> tuple[Tensor, Tensor]:
    """Much contrast agent."""
    return (image * 1.25 + 0.05 * (image > 0)).clamp(0, 1), mask


def without_contrast(muscle: float) -> Scan:
    """No contrast agent: of what organs have above muscle, a quarter is left; bone stays."""

    def scan(image: Tensor, mask: Tensor, _: torch.Generator) -> tuple[Tensor, Tensor]:
        organ = (image > muscle) & (image < 1)
        return torch.where(organ, muscle + (image - muscle) / 4, image), mask

    return scan


def wide(image: Tensor, mask: Tensor, _: torch.Generator) -> tuple[Tensor, Tensor]:
    """A field of view 1.28 times as wide, so that the patient is smaller in it."""
    inner = round(len(image) / 1.28)
    margin = (len(image) - inner) // 2
    frame = [margin, len(image) - inner - margin] * 2
    return F.pad(_resize(image, inner), frame), F.pad((_resize(mask.float(), inner) >= 0.5).to(mask.dtype), frame)


SCANS: dict[str, Scan] = {
    "as it is": lambda image, mask, _: (image, mask),
    "coarse": coarse,
    "noisy": noisy,
    "coarse and noisy": coarse_and_noisy,
    "dark": dark,
    "bright": bright,
    "wide": wide,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("data", type=Path)
    arguments = parser.parse_args()
    table = load_table(arguments.data, read_card(arguments.run).data_config())
    model = load_model(arguments.run, pick_device("auto"))
    rows = table.rows(VAL)
    drawn, free = rows[table.annotated[rows]], rows[table.label[rows] == 0]
    free = free[:: -(-len(free) // NEGATIVES)]
    print("| scan | Dice | median | < 0.7 | AUC | sensitivity | specificity |")
    print("|---|---|---|---|---|---|---|")
    muscle = float(table.preprocess.images(np.full((1, 8, 8), MUSCLE)).mean())
    scans = SCANS | {"without contrast": without_contrast(muscle)}
    for name, scan in scans.items():
        scores, shown = segment(model, table, drawn, scan)
        _, empty = segment(model, table, free, scan)
        auc = (shown[:, None] > empty[None]).mean()
        seen, spared = (shown >= PRESENCE_THRESHOLD).mean(), (empty < PRESENCE_THRESHOLD).mean()
        figures = (scores.mean(), np.median(scores), (scores < 0.7).mean(), auc, seen, spared)
        print(f"| {name} | {' | '.join(f'{figure:.3f}' for figure in figures)} |", flush=True)


def segment(
    model: Segmenter, table: SliceTable, rows: np.ndarray[Any, Any], scan: Scan
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """The Dice of each slice that has the organ, and the classifier's probability of each."""
    scores, presence = [], []
    for start in track(range(0, len(rows), BATCH), "slices"):
        changed = [
            scan(
                torch.from_numpy(np.asarray(table.images[row], np.float32)),
                torch.from_numpy(np.asarray(table.masks[row])),
                torch.Generator().manual_seed(int(row)),
            )
            for row in rows[start : start + BATCH]
        ]
        found = model.segment(model.encode(torch.stack([image for image, _ in changed])[:, None]))
        presence += found.presence.tolist()
        masks = (found.probability >= MASK_THRESHOLD).cpu().numpy()
        scores += [
            dice(mask, truth.numpy() > 0) for mask, (_, truth) in zip(masks, changed, strict=True) if truth.any()
        ]
    return np.array(scores, float), np.array(presence)


def _resize(plane: Tensor, size: int) -> Tensor:
    resized = F.interpolate(plane[None, None], size=(size, size), mode="bilinear", antialias=True)
    return resized[0, 0]


def _with_noise(image: Tensor, share: float, chance: torch.Generator) -> Tensor:
    noise = share * torch.randn(image.shape, generator=chance) * (image > 0)  # air stays below the window
    return (image + noise).clamp(0, 1)


if __name__ == "__main__":
    main()
