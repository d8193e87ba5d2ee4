from __future__ import annotations

import pytest
import torch

from sammix.networks.interface import SlicePrediction


def test_doubt_is_where_map_and_mask_disagree() -> None:
    cam, mask = torch.zeros(4, 8, 8), torch.zeros(4, 8, 8)  # the last shows nothing in either
    cam[0, :4] = mask[0, :4] = 1  # the same
    cam[1, :4] = mask[1, 4:] = 1  # not a pixel in common
    cam[2, :4] = mask[2, 2:6] = 1  # half
    doubt = SlicePrediction(mask, torch.ones(4), cam, None, "cam").disagreement
    assert doubt is not None
    assert doubt.tolist() == pytest.approx([0, 1, 0.5, 0], abs=2e-3)


def test_without_a_map_there_is_no_doubt() -> None:
    assert SlicePrediction(torch.ones(1, 8, 8), torch.ones(1), None, None, "none").disagreement is None
