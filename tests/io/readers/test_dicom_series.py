from __future__ import annotations

import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.uid import EnhancedCTImageStorage, SecondaryCaptureImageStorage, SegmentationStorage
from scipy.spatial.transform import Rotation

from sammix.errors import InputError
from sammix.io.readers.dicom import read_dicom
from sammix.io.readers.dicom_headers import IDENTITY
from sammix.io.readers.dicom_series import check_scan, same_grid, stack

angles = st.floats(-np.pi, np.pi)
lengths = st.floats(0.2, 8)


@given(
    angles=st.tuples(angles, angles, angles),
    spacing=st.tuples(lengths, lengths),
    step=lengths,
    order=st.permutations(range(5)),
    pixel=st.tuples(st.integers(0, 3), st.integers(0, 5), st.integers(0, 4)),
)
def test_a_pixel_lies_where_dicoms_equation_puts_it(header, angles, spacing, step, order, pixel):
    """PS3.3, C.7.6.2.1.1, for any orientation, whatever the order in which the headers come."""
    row, column, normal = Rotation.from_euler("xyz", angles).as_matrix().T
    places = [np.array([-10, 20, 30]) + k * step * normal for k in range(5)]
    headers = [header(places[k], (*row, *column), spacing) for k in order]
    check_scan(headers, Path("ct"))
    ordered, affine, warnings = stack(headers, Path("ct"))
    np.testing.assert_allclose([h.position for h in ordered], places)
    assert warnings == ()
    i, j, k = pixel  # column, row, slice
    x, y, z = row * spacing[1] * i + column * spacing[0] * j + places[k]
    np.testing.assert_allclose((affine @ [i, j, k, 1])[:3], (-x, -y, z), atol=1e-9)


@given(st.floats(0.02, 1.2), st.integers(1, 3))
def test_a_slice_may_lie_off_the_even_grid_by_half_a_step(header, share, place):
    """One slice moved along the normal by a share of the step of 2 mm."""
    heights = [0.0, 2, 4, 6, 8, 10, 12]
    heights[place] += 2 * share
    headers = [header((0, 0, z)) for z in heights]
    if share < 0.49:
        _, affine, warnings = stack(headers, Path("ct"))
        assert affine[2, 2] == pytest.approx(2)
        if not 0.095 < share < 0.105:
            assert bool(warnings) == (share > 0.1)
    elif share > 0.51:
        with pytest.raises(InputError, match=r"slices are missing or mixed|share their position"):
            stack(headers, Path("ct"))


@given(st.integers(3, 60), st.integers(3, 60), st.floats(0.5, 5), st.floats(1.0, 1.4))
def test_two_steps_are_judged_by_how_far_they_lead_off_an_even_grid(header, n, m, step, ratio):
    """The closed form: where the step changes, the slices are n·m·|a−b|/(n+m) off the grid from end to end."""
    heights = np.cumsum([0.0, *[step] * n, *[step * ratio] * m])
    headers = [header((0, 0, float(z))) for z in heights]
    even = (n * step + m * step * ratio) / (n + m)
    off = n * m * step * (ratio - 1) / (n + m)
    if off < 0.499 * even:
        _, affine, _ = stack(headers, Path("ct"))
        on_grid = affine[2, 3] + affine[2, 2] * np.arange(n + m + 1)
        assert np.abs(on_grid - heights).max() == pytest.approx(off, abs=1e-6)
    elif off > 0.501 * even:
        with pytest.raises(InputError, match="not evenly spaced"):
            stack(headers, Path("ct"))


@given(
    jitter=st.lists(st.floats(-5e-5, 5e-5), min_size=6, max_size=6),
    spacing=st.floats(-5e-5, 5e-5),
    place=st.integers(0, 4),
)
def test_the_last_digits_of_orientation_and_spacing_make_no_other_scan(header, jitter, spacing, place):
    headers = [header((0, 0, 2.0 * k)) for k in range(5)]
    other = tuple(np.array(headers[0].orientation) + jitter)
    headers[place] = replace(headers[place], orientation=other, spacing=(0.9 + spacing, 0.7 - spacing))
    check_scan(headers, Path("ct"))
    _, affine, _ = stack(headers, Path("ct"))
    np.testing.assert_allclose(np.linalg.norm(affine[:3, :3], axis=0), (0.7, 0.9, 2), atol=1e-6)


def test_another_grid_is_told_by_half_a_pixel(header):
    one = header((0, 0, 0), shape=(512, 512))
    assert same_grid(one, replace(one, spacing=(0.9 + 4e-4, 0.7)))
    assert not same_grid(one, replace(one, spacing=(0.9 + 9e-4, 0.7)))
    assert not same_grid(one, replace(one, shape=(512, 511)))
    assert not same_grid(one, replace(one, orientation=(1, 0, 0, 0, 0, -1)))


@pytest.mark.parametrize("tag", IDENTITY)
def test_slices_of_two_patients_studies_or_frames_of_reference(tmp_path, write_series, refused, tag):
    folder = write_series(tmp_path / "ct", PatientBirthDate="19600102")
    data = pydicom.dcmread(folder / "002.dcm")
    setattr(data, tag, "19500102" if tag == "PatientBirthDate" else "1.7.7")
    data.save_as(folder / "002.dcm")
    problem = refused(folder)
    assert re.fullmatch(rf"has another {tag} than \S+/00\d\.dcm, in one series", problem)
    assert "SECRET" not in problem.upper()


def test_a_patients_number_that_is_missing_somewhere_is_no_other(tmp_path, write_series, write_dicom):
    folder = write_series(tmp_path / "ct")
    data = pydicom.dcmread(folder / "002.dcm")
    del data.PatientID
    data.save_as(folder / "002.dcm")
    assert read_dicom(folder).array.shape == (4, 6, 5)


def test_one_slice_twice(tmp_path, write_series, refused):
    folder = write_series(tmp_path / "ct")
    shutil.copy(folder / "004.dcm", folder / "copy.dcm")
    assert refused(folder) == f"has the same SOPInstanceUID as {folder / '004.dcm'}"


def test_all_slices_under_one_uid(tmp_path, write_series, refused):
    assert "has the same SOPInstanceUID as" in refused(write_series(tmp_path / "ct", SOPInstanceUID="1.2.3.4"))


def test_a_missing_slice_is_named_in_mm(tmp_path, write_series, refused):
    folder = write_series(tmp_path / "ct", n=8)
    (folder / "003.dcm").unlink()
    assert "a gap of 4.00 mm between 38.00 and 42.00 mm along the stack, where 2.00 mm" in refused(folder)


def test_small_rounding_of_positions_is_no_gap(tmp_path, write_dicom):
    for k, z in enumerate([0.0, 0.63, 1.25, 1.88, 2.5]):
        stored = np.random.default_rng(k).integers(0, 2000, (6, 4)).astype(np.uint16)
        write_dicom(tmp_path / f"{k}", stored, ImagePositionPatient=[0, 0, z], SOPInstanceUID=f"1.2.{k}")
    assert read_dicom(tmp_path).spacing[2] == pytest.approx(0.625)


def test_two_spacings(tmp_path, write_dicom, refused):
    for k, z in enumerate([0, 1, 2, 3, 5, 7]):
        stored = np.random.default_rng(k).integers(0, 2000, (6, 4)).astype(np.uint16)
        write_dicom(tmp_path / f"{k}", stored, ImagePositionPatient=[0, 0, z], SOPInstanceUID=f"1.2.{k}")
    assert "slices are missing or mixed: a gap of 2.00 mm between 3.00 and 5.00 mm" in refused(tmp_path)


def test_two_slices_in_one_place(tmp_path, write_series, refused):
    folder = write_series(tmp_path / "ct")
    data = pydicom.dcmread(folder / "004.dcm")
    data.SOPInstanceUID = "1.2.3.77"
    data.save_as(folder / "copy.dcm")
    assert "share their position with another (first: 004.dcm and copy.dcm)" in refused(folder)


def test_gantry_tilt(tmp_path, write_dicom, refused):
    for k in range(5):
        stored = np.random.default_rng(k).integers(0, 2000, (6, 4)).astype(np.uint16)
        place = {"ImagePositionPatient": [0, 0.5 * k, 5.0 * k], "SOPInstanceUID": f"1.2.{k}"}
        write_dicom(tmp_path / f"{k}.dcm", stored, **place)
    assert "the gantry is tilted by 5.7° (slices drift 2.0 mm sideways)" in refused(tmp_path)


@pytest.mark.parametrize(
    ("tags", "problem"),
    [
        ({"Modality": "MR"}, "is not a CT slice but: MR"),
        ({"Modality": "SEG", "SOPClassUID": SegmentationStorage, "NumberOfFrames": 3}, "but: Segmentation"),
        ({"SOPClassUID": SecondaryCaptureImageStorage}, "is not a CT slice but: Secondary Capture Image"),
        ({"SOPClassUID": EnhancedCTImageStorage}, "does not describe each of its frames"),
        ({"NumberOfFrames": 20}, "is not a CT slice but: CT of several frames"),
        ({"SamplesPerPixel": 3}, "colour"),
        ({"ImagePositionPatient": None}, "no valid ImagePositionPatient"),
        ({"ImageOrientationPatient": None}, "no valid ImageOrientationPatient"),
        ({"ImageOrientationPatient": [1, 0, 0, 1, 0, 0]}, "no valid ImageOrientationPatient"),
        ({"PixelSpacing": [0, 0]}, "no valid PixelSpacing"),
        ({"Rows": 0}, "no valid Rows and Columns"),
        ({"Rows": None}, "damaged, cut short"),
    ],
)
def test_what_is_no_ct_slice(tmp_path, write_dicom, tags, problem):
    path = write_dicom(tmp_path / "a.dcm", np.arange(24, dtype=np.uint16).reshape(6, 4), **tags)
    with pytest.raises(InputError, match=problem):
        read_dicom(path)
