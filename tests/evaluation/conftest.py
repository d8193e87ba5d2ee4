"""The simplest network there is, and scans and pictures for it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from sammix.data.lineage import Lineage
from sammix.data.preprocess import Preprocess
from sammix.evaluation.core import Evaluation
from sammix.evaluation.protocol import EvaluateOptions, evaluate
from sammix.networks.interface import PromptSource, SlicePrediction
from sammix.networks.prompts import boxes_from_masks

HU = NDArray[np.int16]


class HUSegmenter:
    """The organ is what lies in a band of HU."""

    name = "band"
    presence_offset = 0.0

    def __init__(self, low: float = 80, high: float = 200, **preprocess: Any) -> None:
        self.preprocess = Preprocess(**preprocess)
        edge = self.preprocess.window_level - self.preprocess.window_width / 2
        self.low, self.high = ((hu - edge) / self.preprocess.window_width for hu in (low, high))

    def encode(self, images: Tensor) -> Tensor:
        return ((images[:, 0] > self.low) & (images[:, 0] < self.high)).float()

    def segment(self, encoding: Tensor, boxes: Tensor | None = None, prompt: PromptSource = "cam") -> SlicePrediction:
        presence = ((encoding.sum(dim=(1, 2)) - 200) / 100).sigmoid()
        box = boxes_from_masks(encoding) if prompt == "cam" else boxes
        return SlicePrediction(encoding, presence, encoding, box, prompt)


@pytest.fixture(scope="session")
def hu_segmenter() -> type[HUSegmenter]:
    return HUSegmenter


@pytest.fixture(scope="session")
def measure() -> Callable[..., Evaluation]:
    """``measure(data, segmenter, lineage=…, split=…)``: an evaluation of a network for the liver that knows nobody."""

    def run(data: Any, segmenter: Any = None, lineage: Lineage | None = None, **options: Any) -> Evaluation:
        asked = EvaluateOptions(**({"organ": "liver"} | options))
        return evaluate(segmenter or HUSegmenter(), data, asked, lineage or Lineage())

    return run


def phantom(slices: int = 6, shape: tuple[int, int] = (48, 48), top: int = 2) -> tuple[HU, NDArray[np.uint8]]:
    """A liver of 120 HU, from slice ``top`` up, in a body of 40 HU below a row of air: arrays (slice, row, column)."""
    ct = np.full((slices, *shape), 40, np.int16)
    mask = np.zeros(ct.shape, np.uint8)
    mask[top:, 12:30, 6:28] = 1
    mask[top, 20:] = 0  # an organ tapers
    ct[mask > 0], ct[:, 0] = 120, -1000
    return ct, mask


RAS = np.array([[-0.8, 0, 0, 5], [0, -0.8, 0, -3], [0, 0, 5, 7], [0, 0, 0, 1.0]])  # columns to the left, rows back


@pytest.fixture(scope="session")
def write_scan() -> Callable[..., None]:
    """``write_scan(folder, number, affine, top)``: a scan and its mask in LiTS's layout."""

    def write(folder: Path, number: int, affine: NDArray[Any] = RAS, top: int = 2) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        for name, array in zip(("volume", "segmentation"), phantom(top=top), strict=True):
            stored = array.transpose(2, 1, 0)  # (column, row, slice)
            nib.save(nib.Nifti1Image(stored, affine), folder / f"{name}-{number}.nii")

    return write


@pytest.fixture
def scans(tmp_path: Path, write_scan: Callable[..., None]) -> Path:
    """Three scans of 6 slices with 5, 4 and 3 slices of liver."""
    for number in range(3):
        write_scan(tmp_path / "scans", number, top=1 + number)
    return tmp_path / "scans"


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """A slice table: two test slices with a mask, one with a label only, one free; one for training."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    ct, mask = phantom(shape=(64, 64))
    lines = ["image,mask,source,patient,hu_min,hu_max,liver,split"]
    for i, (drawn, liver, split) in enumerate(
        [(True, 1, "test"), (True, 1, "test"), (False, 1, "test"), (False, 0, "test"), (True, 1, "train")]
    ):
        at = 3 if liver else 0
        hu = ct[at] + i * (ct[at] == 40)  # each picture has a content of its own
        Image.fromarray(((hu + 160) / 400 * 255).clip(0, 255).round().astype(np.uint8)).save(folder / f"i{i}.png")
        if drawn:
            Image.fromarray(mask[at] * 255).save(folder / f"m{i}.png")
        lines.append(f"i{i}.png,{f'm{i}.png' if drawn else ''},here,p{i},-160,240,{liver},{split}")
    (folder / "slices.csv").write_text("\n".join(lines) + "\n")
    return folder
