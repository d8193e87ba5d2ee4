from __future__ import annotations

import numpy as np

from sammix.inference.scan import ScanOptions, predict_volume
from sammix.inference.slice_records import SLICE_COLUMNS, slice_records
from sammix.io.volume import Volume
from sammix.networks.quality import Quality


def test_each_slice_has_a_row_and_its_area_is_in_square_millimetres(bright_right, quality: Quality) -> None:
    hu = np.full((72, 72, 4), -100, np.int16)
    hu[40:68, 10:40, 1:3] = 160
    scan = Volume(hu, np.diag([2.0, 0.5, 5.0, 1.0]))
    found = predict_volume(bright_right(), scan, ScanOptions(quality=quality))
    rows = slice_records(scan, found)
    assert [row["slice"] for row in rows] == [0, 1, 2, 3]
    assert all(tuple(row) == SLICE_COLUMNS for row in rows)
    assert [row["area_mm2"] for row in rows] == found.mask.sum(axis=(0, 1)).tolist()  # of 1 mm² pixels
    assert rows[0]["expected_dice"] is None
    assert not any(row["interpolated"] for row in rows)
    assert rows[1]["expected_dice_low"] <= rows[1]["expected_dice"] <= rows[1]["expected_dice_high"]
    assert {row["decision"] for row in rows[1:3]} == {"organ"}


def test_of_a_model_that_was_not_calibrated_no_dice_is_expected(bright_right) -> None:
    scan = Volume(np.full((16, 16, 2), 160, np.int16), np.diag([1.0, 1.0, 5.0, 1.0]))
    rows = slice_records(scan, predict_volume(bright_right(), scan))
    assert [row["expected_dice"] for row in rows] == [None, None]


def test_interpolated_slices_are_named(bright_right) -> None:
    hu = np.full((72, 72, 40), -100, np.int16)
    hu[40:68, 10:40] = 160
    scan = Volume(hu, np.diag([1.0, 1.0, 1.0, 1.0]))
    found = predict_volume(bright_right(), scan)
    assert found.interpolated
    rows = slice_records(scan, found)
    assert [row["slice"] for row in rows if row["interpolated"]] == found.interpolated
