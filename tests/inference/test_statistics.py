from __future__ import annotations

import numpy as np
import pytest

from sammix.inference.statistics import organ_statistics
from sammix.io.volume import Volume

AFFINE = np.array([[0, 0, 1.5, 0], [-0.5, 0, 0, 0], [0, 2.0, 0, 0], [0, 0, 0, 1]])  # the second axis points up


def test_figures_of_a_block():
    hu = np.random.default_rng(0).normal(50, 10, (6, 7, 8))
    mask = np.zeros(hu.shape, np.uint8)
    mask[1:5, 2, 3:6] = mask[1:5, 5, 3:6] = 1
    found = organ_statistics(Volume(hu, AFFINE), mask, 0.87654)
    assert found["volume_ml"] == pytest.approx(24 * 1.5 * 0.5 * 2 / 1000)
    assert found["hu_mean"] == pytest.approx(hu[mask > 0].mean(), abs=0.01)
    assert found["hu_sd"] == pytest.approx(np.sqrt(((hu[mask > 0] - hu[mask > 0].mean()) ** 2).mean()), abs=0.01)
    assert (found["z_extent_mm"], found["slices_with_organ"], found["confidence"]) == (8.0, 2, 0.8765)


def test_nothing_found_and_nothing_known():
    empty = organ_statistics(Volume(np.zeros((2, 2, 2)), AFFINE), np.zeros((2, 2, 2)), None)
    assert (empty["volume_ml"], empty["hu_mean"], empty["z_extent_mm"], empty["confidence"]) == (0, None, 0, None)
    picture = organ_statistics(Volume(np.zeros((2, 2, 2)), np.eye(4), trusted_geometry=False), np.ones((2, 2, 2)), 1.0)
    assert (picture["volume_ml"], picture["z_extent_mm"], picture["slices_with_organ"]) == (None, None, 2)
