"""A segmenter without weights, and a scan for it."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch

from sammix.data.preprocess import Preprocess
from sammix.networks.interface import PromptSource, SlicePrediction
from sammix.networks.quality import Quality


class BrightRight:
    """Marks bright pixels on the patient's right: where a flip went unnoticed, its masks change sides."""

    name = "bright-right"
    presence_offset = 0.0
    preprocess = Preprocess(size=72)

    def encode(self, images: torch.Tensor) -> torch.Tensor:
        return images[:, 0]

    def segment(
        self, encoding: torch.Tensor, boxes: torch.Tensor | None = None, prompt: PromptSource = "cam"
    ) -> SlicePrediction:
        marked = (encoding > 0.6).float()
        marked[..., 36:] = 0
        return SlicePrediction(marked, marked.flatten(1).amax(1), None, None, prompt)


@pytest.fixture(scope="session")
def bright_right() -> type[BrightRight]:
    return BrightRight


@pytest.fixture
def scan_with_a_crumb(tmp_path: Path) -> Path:
    """A bright organ in slices 0 to 3, and a bright crumb in slice 6, on the patient's right; in LiTS's layout."""
    folder = tmp_path / "scans"
    ct = np.full((72, 72, 7), -100, np.int16)
    ct[45:65, 20:50, :4], ct[50:54, 40:44, 6] = 160, 160
    folder.mkdir()
    nib.save(nib.Nifti1Image(ct, np.diag([1.0, 1.0, 5.0, 1.0])), folder / "volume-0.nii")
    nib.save(nib.Nifti1Image((ct > 0).astype(np.uint8), np.diag([1.0, 1.0, 5.0, 1.0])), folder / "segmentation-0.nii")
    return folder / "volume-0.nii"


@pytest.fixture(scope="session")
def quality() -> Quality:
    """Of two signs that are alike, the expected error is that sign and 0.01; an interval is from half to twice it."""
    return Quality(
        weights=(0.0, 0.5, 0.5),
        mean=1.0,
        slice_error=(0.5, 2.0),
        scan_error=(0.5, 2.0),
        coverage=0.8,
        patients=9,
        slices=50,
    )
