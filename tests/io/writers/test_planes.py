from __future__ import annotations

import numpy as np
import pydicom
import pytest

from sammix.io.readers.dicom import read_dicom, source_images
from sammix.io.writers.planes import planes, step


def test_a_plane_is_where_the_reader_has_it(oriented_series):
    scan = read_dicom(oriented_series)
    for image, (place,) in source_images(oriented_series):
        (plane,) = planes(image, 1)
        pixels = np.array([[0, 0], [5, 3], [2.5, 0.5]])
        voxels = np.column_stack([pixels[:, ::-1], np.full(3, place), np.ones(3)])
        ras = (scan.affine @ voxels.T)[:3].T
        np.testing.assert_allclose(plane.points(pixels), ras * (-1, -1, 1), atol=1e-5)


def test_each_frame_has_its_own(tmp_path, write_series, write_enhanced):
    folder = write_series(tmp_path / "ct")
    image = pydicom.dcmread(write_enhanced(folder, tmp_path / "e.dcm"))
    found = planes(image, 5)
    assert sorted(plane.position[2] for plane in found) == [30, 32, 34, 36, 38]
    assert step(found) == 2
    assert step(found[:1]) == 0
    with pytest.raises(ValueError, match="4 of 5 frames"):
        planes(image, 4)
