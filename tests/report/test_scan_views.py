from __future__ import annotations

from io import BytesIO

import numpy as np
from PIL import Image

from sammix.io.volume import Volume
from sammix.report.scan_views import HEIGHT, three_views


def body(shape: tuple[int, int, int], spacing: tuple[float, float, float]) -> tuple[Volume, np.ndarray]:
    """A body of soft tissue with an organ in the patient's right, superior half."""
    hu = np.full(shape, -1000, np.int16)
    hu[4:-4, 8:-8] = 40
    mask = np.zeros(shape, np.uint8)
    mask[shape[0] // 2 + 4 : -10, 20:30, -8:-2] = 1  # RAS: the first axis counts to the right
    return Volume(hu, np.diag([*spacing, 1.0]) @ np.diag([1.0, 1, 1, 1])), mask


def picture(volume: Volume, mask: np.ndarray) -> np.ndarray:
    return np.asarray(Image.open(BytesIO(three_views(volume, mask))).convert("RGB")).astype(int)


def orange(image: np.ndarray) -> np.ndarray:
    return np.argwhere((image[..., 0] - image[..., 2] > 120) & (image[..., 0] > 180))


def test_three_planes_are_to_scale_and_through_the_organ() -> None:
    volume, mask = body((60, 50, 20), (2.0, 2.0, 5.0))
    image = picture(volume, mask)
    assert image.shape[0] == HEIGHT
    axial = round(HEIGHT * (52 * 2) / (36 * 2))
    coronal = round(HEIGHT * (52 * 2) / (20 * 5))
    assert abs(image.shape[1] - (axial + coronal + round(HEIGHT * 36 * 2 / 100) + 8)) < 60
    for left, right in ((0, axial), (axial + 4, axial + 4 + coronal), (axial + coronal + 8, image.shape[1])):
        assert len(orange(image[:, left:right])) > 20


def test_right_is_left_and_head_is_up() -> None:
    volume, mask = body((60, 50, 20), (-2.0, 2.0, 5.0))  # the first axis counts to the left
    axial = round(HEIGHT * 52 / 36)
    image = picture(volume, mask)
    assert orange(image[:, : axial - 10])[:, 1].mean() > axial / 2, "the organ is on the patient's left"
    coronal = image[:, axial + 8 : axial + 8 + round(HEIGHT * 104 / 100)]
    assert orange(coronal)[:, 0].mean() < HEIGHT / 2


def test_an_empty_mask_and_a_single_slice_have_a_picture_too() -> None:
    volume, mask = body((60, 50, 20), (2.0, 2.0, 5.0))
    assert not len(orange(picture(volume, mask * 0)))
    alone = Volume(volume.array[..., :1], np.eye(4), trusted_geometry=False)
    assert picture(alone, mask[..., :1]).shape[0] == HEIGHT
    air = Volume(np.full((8, 8, 1), -1000, np.int16), np.eye(4))
    assert picture(air, np.zeros((8, 8, 1), np.uint8)).shape[0] == HEIGHT
