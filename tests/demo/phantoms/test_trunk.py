from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from sammix.demo.phantoms import PORTAL
from sammix.demo.phantoms.canvas import Canvas
from sammix.demo.phantoms.patient import blank
from sammix.demo.phantoms.tissues import Tissue
from sammix.demo.phantoms.trunk import paint_trunk

BONE = (Tissue.CORTICAL_BONE, Tissue.SPONGIOSA)


@pytest.fixture(scope="module", params=range(3))
def canvas(request: pytest.FixtureRequest) -> Canvas:
    """The frames of three bodies."""
    rng = np.random.default_rng(request.param)
    canvas = blank(PORTAL.at((96, 96, 44)), rng)
    paint_trunk(canvas, rng)
    return canvas


def test_lungs_are_above_the_diaphragm_and_room_for_organs_below(canvas: Canvas) -> None:
    assert canvas.below[canvas.tissue == Tissue.LUNG].max() <= 0
    room = canvas.tissue == Tissue.VISCERAL_FAT
    assert (room & (canvas.below > 2)).sum() > 0.8 * room.sum()
    assert canvas.wall[room].max() < 0


def test_skin_wraps_the_whole_body(canvas: Canvas) -> None:
    body = canvas.tissue != Tissue.AIR
    for plane, tissue in zip(body, canvas.tissue, strict=True):
        assert ndimage.label(plane)[1] == 1
        assert not (ndimage.binary_fill_holes(plane) & ~plane).any(), "no air within"
        rim = plane & ~ndimage.binary_erosion(plane)
        assert np.isin(tissue[rim], (Tissue.SKIN, Tissue.SUBCUTANEOUS_FAT)).mean() > 0.95


def test_the_spine_runs_down_the_back_around_its_canal(canvas: Canvas) -> None:
    sac = canvas.tissue == Tissue.DURAL_SAC
    assert sac.any(axis=(1, 2)).all(), "in every slice"
    assert np.abs(canvas.x[sac]).max() < 11
    bone = np.isin(canvas.tissue, BONE)
    spine = bone & (np.abs(canvas.x) < 25)
    assert canvas.y[sac].max() < canvas.y[spine & (canvas.y > -60) & (canvas.y < 0)].mean(), "bodies lie before it"
    assert (canvas.tissue == Tissue.DISC).any()


def test_ribs_are_bone_behind_and_cartilage_in_front(canvas: Canvas) -> None:
    shell = (canvas.wall > 0) & (np.abs(canvas.x) > 60) & (canvas.z > -60)
    ribs = shell & np.isin(canvas.tissue, BONE)
    cartilage = canvas.tissue == Tissue.CARTILAGE
    assert ribs.sum() > 50
    assert canvas.y[ribs].mean() < canvas.y[cartilage].mean() - 30


def test_the_iliac_wings_are_there_where_the_scan_reaches_them(canvas: Canvas) -> None:
    low = np.isin(canvas.tissue, BONE) & (np.abs(canvas.x) > 50)
    assert (low & (canvas.z < -190)).any()
    assert not (low & (canvas.z < -130) & (canvas.z > -170)).any(), "between the last rib and the crest is no bone"


def test_both_sides_are_alike(canvas: Canvas) -> None:
    """But for the heart, the frame is as heavy on the left as on the right."""
    for tissues in ((Tissue.SUBCUTANEOUS_FAT,), (Tissue.MUSCLE,), BONE):
        found = np.isin(canvas.tissue, tissues)
        left, right = (found & (canvas.x < 0)).sum(), (found & (canvas.x > 0)).sum()
        assert left == pytest.approx(right, rel=0.15)
