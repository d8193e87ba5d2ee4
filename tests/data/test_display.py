from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sammix.data.display import Displayed, display, height, image_numbers, place_of
from sammix.data.preprocess import Preprocess
from sammix.io import read_volume
from sammix.io.volume import Volume

AFFINE = np.array([[-0.8, 0, 0, 5], [0, -0.8, 0, -3], [0, 0, 5, -107], [0, 0, 0, 1.0]])


def scan(values: list[int], side: int = 40) -> Volume:
    """A scan whose slices have these HU at the left and air at the right."""
    array = np.full((side, side, len(values)), -1000, np.int16)
    array[: side // 2] = values
    return Volume(array, AFFINE).axial()


def test_every_scan_is_shown_in_the_abdominal_window_with_pixels_of_known_size() -> None:
    shown = display(scan([40, 240, -160]), 0, side=80)
    assert (shown.level, shown.width, shown.grey.shape) == (40, 400, (80, 80))
    assert shown.pixel_mm == pytest.approx(0.8 * 40 / 80)
    assert set(np.unique(shown.grey[:, :30])) <= {127, 128}
    assert display(scan([40, 240, -160]), 1).grey.max() == 255


def test_a_picture_that_lost_what_lies_below_0_hu_is_not_shown_as_if_air_were_tissue() -> None:
    array = np.zeros((16, 16, 1), np.int16)
    array[:8] = 120
    shown = display(Volume(array, np.eye(4), trusted_geometry=False).axial(), 0, side=16)
    assert (shown.level, shown.width, shown.pixel_mm, shown.place) == (120, 240, None, "slice 0")
    assert shown.grey.min() == 0


def test_a_slice_of_one_value_can_be_shown() -> None:
    for value in (-1000, 40, 3000):
        array = np.full((8, 8, 1), value, np.int16)
        assert display(Volume(array, AFFINE).axial(), 0, side=16).grey.shape == (16, 16)


def test_a_slice_of_a_store_is_shown_as_the_network_sees_it_and_says_so() -> None:
    shown = Displayed.of_network(np.full((4, 4), 0.5), Preprocess(window_level=120, window_width=240), "slice 3")
    assert (shown.level, shown.width, shown.pixel_mm, shown.place) == (120, 240, None, "slice 3")
    assert shown.grey[0, 0] == 128


def test_a_slice_is_found_again_in_any_viewer() -> None:
    axial = scan([1, 2, 3])
    assert height(axial, 1) == -102
    assert place_of(axial, 1, {-107.0: 9, -102.2: 8}) == "slice 1, z −102.0 mm, image 8"
    assert place_of(axial, 1) == "slice 1, z −102.0 mm"


def test_image_numbers_are_the_headers(write_series, tmp_path: Path) -> None:
    folder = write_series(tmp_path / "ct", n=5)
    import pydicom

    for number, file in enumerate(sorted(folder.iterdir()), start=11):
        data = pydicom.dcmread(file)
        data.InstanceNumber = number
        data.save_as(file)
    axial, files = read_volume(folder).axial(), sorted(folder.iterdir())
    numbers = image_numbers(axial, files)
    by_height = {float(pydicom.dcmread(file).ImagePositionPatient[2]): 11 + i for i, file in enumerate(files)}
    assert {round(z): number for z, number in numbers.items()} == {round(z): n for z, n in by_height.items()}
    assert place_of(axial, 0, numbers).endswith(f"image {by_height[30.0]}")
    assert image_numbers(axial, files[:3]) == {}, "an enhanced file holds several slices"
