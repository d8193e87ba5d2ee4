from __future__ import annotations

import numpy as np
import pytest

from sammix.demo.phantoms import NATIVE, PORTAL
from sammix.demo.phantoms.canvas import WARP, Canvas
from sammix.demo.phantoms.patient import blank
from sammix.demo.phantoms.tissues import Tissue


@pytest.fixture(scope="module")
def canvas() -> Canvas:
    return blank(PORTAL.at((48, 48, 24)), np.random.default_rng(3))


def test_deformation_stays_within_the_margin_that_regions_allow_for(canvas: Canvas) -> None:
    z, y, x = canvas.axes
    moved = (canvas.z - z[:, None, None], canvas.y - y[:, None], canvas.x - x)
    assert all(1 < np.abs(shift).max() < WARP for shift in moved)


def test_a_blank_canvas_is_air_on_the_hospital_s_grid(canvas: Canvas) -> None:
    assert canvas.tissue.shape == canvas.x.shape == canvas.wall.shape == canvas.below.shape == (24, 48, 48)
    assert not canvas.tissue.any()
    assert Tissue.AIR == 0
    for axis, mm in zip(canvas.axes, (10.83, 8.5, 8.5), strict=True):  # the field of view over the voxels
        assert (np.diff(axis) > 0).all(), "up, to the front and to the right"
        assert np.diff(axis).mean() == pytest.approx(mm, rel=0.2), "but for the patient's size"


def test_the_same_patient_has_one_body_at_every_hospital() -> None:
    """At the same anatomical place the wall and the diaphragm are as far away, whatever the grid."""
    one, other = (blank(h.at((32, 32, 16)), np.random.default_rng(5)) for h in (PORTAL, NATIVE))
    i, j, k = 8, 16, 16
    at_one = np.array([one.z[i, j, k], one.y[i, j, k], one.x[i, j, k]])
    far = np.sqrt((other.z - at_one[0]) ** 2 + (other.y - at_one[1]) ** 2 + (other.x - at_one[2]) ** 2)
    near = np.unravel_index(far.argmin(), far.shape)
    assert abs(one.wall[i, j, k] - other.wall[near]) < 1.5 * far.min() + 1
    assert abs(one.below[i, j, k] - other.below[near]) < 2.5 * far.min() + 1


def test_the_body_is_inside_its_wall_and_the_right_dome_is_the_higher(canvas: Canvas) -> None:
    assert canvas.wall[12, 24, 24] < -50, "the middle"
    assert (canvas.wall[:, [0, -1]] > 0).all()
    assert (canvas.wall[:, :, [0, -1]] > 0).all()
    height = canvas.below + canvas.z  # of the diaphragm over each place
    right, left = (np.abs(canvas.x - x) + np.abs(canvas.y) < 15 for x in (66, -72))
    assert height[right].mean() > height[left].mean() + 5


def test_another_seed_is_another_patient(canvas: Canvas) -> None:
    again, other = (blank(PORTAL.at((48, 48, 24)), np.random.default_rng(seed)) for seed in (3, 4))
    np.testing.assert_array_equal(again.wall, canvas.wall)
    assert np.abs(other.wall - canvas.wall).mean() > 1
