"""Painting by regions, and the distance to a rod, against plain geometry."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sammix.demo.phantoms import PORTAL
from sammix.demo.phantoms.canvas import Canvas, tube
from sammix.demo.phantoms.patient import blank
from sammix.demo.phantoms.tissues import Tissue

COORDINATE = st.floats(-90, 90)


@pytest.fixture(scope="module")
def canvas() -> Canvas:
    return blank(PORTAL.at((48, 48, 24)), np.random.default_rng(3))


@settings(max_examples=25)
@given(st.tuples(COORDINATE, COORDINATE, COORDINATE), st.tuples(COORDINATE, COORDINATE, COORDINATE))
def test_a_tube_painted_by_region_misses_no_voxel(
    canvas: Canvas, start: tuple[float, ...], end: tuple[float, ...]
) -> None:
    a, b = np.array(start), np.array(end)
    voxels = np.stack([canvas.x, canvas.y, canvas.z], axis=-1).astype(np.float64)
    along = np.clip((voxels - a) @ (b - a) / max((b - a) @ (b - a), 1e-9), 0, 1)
    expected = np.linalg.norm(voxels - (a + along[..., None] * (b - a)), axis=-1) < 12
    canvas.tissue[...] = Tissue.VISCERAL_FAT
    part, distance = tube(canvas, [start, end], [12, 12])
    part.paint(Tissue.LIVER, distance < 0)
    assert np.count_nonzero((canvas.tissue == Tissue.LIVER) != expected) <= 1  # float32 on the very surface


def test_paint_replaces_only_what_it_is_told_to(canvas: Canvas) -> None:
    canvas.tissue[...] = Tissue.VISCERAL_FAT
    canvas.tissue[:12] = Tissue.MUSCLE
    everywhere = np.ones(canvas.tissue.shape, dtype=bool)
    painted = canvas.paint(Tissue.SPLEEN, everywhere)
    assert not painted[:12].any()
    assert painted[12:].all()
    assert set(np.unique(canvas.tissue)) == {Tissue.MUSCLE, Tissue.SPLEEN}


def test_ellipsoid_is_one_on_its_surface(canvas: Canvas) -> None:
    centre = (canvas.x[5, 6, 7] - 30, canvas.y[5, 6, 7], canvas.z[5, 6, 7])
    assert canvas.ellipsoid(centre, (30, 20, 10))[5, 6, 7] == pytest.approx(1, abs=1e-4)
