from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.uid import EnhancedCTImageStorage, SecondaryCaptureImageStorage, SegmentationStorage
from scipy.spatial.transform import Rotation

from sammix.errors import InputError
from sammix.io.readers.dicom import read_dicom
from sammix.io.readers.dicom_series import CT_IMAGE, SliceHeader, check_ct, group_series, stack

angles = st.floats(-np.pi, np.pi)
lengths = st.floats(0.2, 8)


def header(position, orientation=(1, 0, 0, 0, 1, 0), spacing=(0.9, 0.7), **values):
    """Of a CT slice, with some values replaced."""
    usual = {
        "path": Path(f"{position}.dcm"), "frame": 0, "study": "1", "series": "1.1", "number": 1, "description": "",
        "modality": "CT", "localizer": False, "sop_class": CT_IMAGE, "frames": 1, "samples": 1, "shape": (6, 4),
        "orientation": tuple(orientation), "position": tuple(position), "spacing": spacing, "thickness": 3.0,
        "slope": 1.0, "intercept": -1024.0, "padding": None,
    }  # fmt: skip
    return SliceHeader(**{**usual, **values})


@given(
    angles=st.tuples(angles, angles, angles),
    spacing=st.tuples(lengths, lengths),
    step=lengths,
    order=st.permutations(range(5)),
    pixel=st.tuples(st.integers(0, 3), st.integers(0, 5), st.integers(0, 4)),
)
def test_a_pixel_lies_where_dicoms_equation_puts_it(angles, spacing, step, order, pixel):
    """PS3.3, C.7.6.2.1.1, for any orientation, whatever the order in which the headers come."""
    row, column, normal = Rotation.from_euler("xyz", angles).as_matrix().T
    places = [np.array([-10, 20, 30]) + k * step * normal for k in range(5)]
    headers = [header(places[k], (*row, *column), spacing) for k in order]
    check_ct(headers, Path("ct"))
    ordered, affine, warnings = stack(headers, Path("ct"))
    np.testing.assert_allclose([h.position for h in ordered], places)
    assert warnings == ()
    i, j, k = pixel  # column, row, slice
    x, y, z = row * spacing[1] * i + column * spacing[0] * j + places[k]
    np.testing.assert_allclose((affine @ [i, j, k, 1])[:3], (-x, -y, z), atol=1e-9)


@given(st.floats(0.02, 0.5), st.integers(1, 3))
def test_steps_may_differ_by_rounding_but_not_by_a_slice(share, place):
    """One slice moved along the normal by a share of the usual step of 2 mm."""
    heights = [0.0, 2, 4, 6, 8, 10, 12]
    heights[place] += 2 * share
    headers = [header((0, 0, z)) for z in heights]
    if share < 0.099:
        assert stack(headers, Path("ct"))[1][2, 2] == pytest.approx(2)
    elif share > 0.101:
        with pytest.raises(InputError, match="slices are missing or mixed"):
            stack(headers, Path("ct"))


def test_series_come_in_the_order_of_study_number_and_uid():
    headers = [header((0, 0, z), study=s, number=n, series=u) for z, (s, n, u) in enumerate(
        [("2", 1, "9"), ("1", 10, "a"), ("1", 2, "c"), ("1", 2, "b"), ("1", 10, "a")]
    )]  # fmt: skip
    groups = group_series(headers)
    assert list(groups) == ["b", "c", "a", "9"]
    assert [h.position[2] for h in groups["a"]] == [1, 4]


@pytest.mark.parametrize(
    "values", [{"modality": "MR"}, {"localizer": True}, {"sop_class": SecondaryCaptureImageStorage}]
)
def test_what_cannot_be_a_slice_of_a_ct(values):
    assert header((0, 0, 0)).is_scan
    assert header((0, 0, 0), sop_class="").is_scan, "some programs leave it out"
    assert not header((0, 0, 0), **values).is_scan


def test_several_series_are_listed(tmp_path, write_series, refused):
    write_series(tmp_path, n=3)
    for file in tmp_path.iterdir():
        file.rename(tmp_path / f"first {file.name}")
    write_series(tmp_path, n=4, SeriesInstanceUID="1.9", SeriesDescription="arterial")
    assert refused(tmp_path) == "holds 2 series: 1.2.3 (CT, 3 slices); 1.9 (CT, 4 slices)"
    assert read_dicom(tmp_path, "1.9").array.shape == (4, 6, 4)
    with pytest.raises(InputError, match=r"holds no series 1\.7; choose one of 1\.2\.3 \(CT, 3 slices\)"):
        read_dicom(tmp_path, "1.7")


def test_a_missing_slice_is_named_in_mm(tmp_path, write_series, refused):
    folder = write_series(tmp_path / "ct", n=8)
    (folder / "003.dcm").unlink()
    assert "a gap of 4.00 mm between 38.00 and 42.00 mm along the stack, where 2.00 mm" in refused(folder)


def test_small_rounding_of_positions_is_no_gap(tmp_path, write_dicom):
    for k, z in enumerate([0.0, 0.63, 1.25, 1.88, 2.5]):
        stored = np.random.default_rng(k).integers(0, 2000, (6, 4)).astype(np.uint16)
        write_dicom(tmp_path / f"{k}", stored, ImagePositionPatient=[0, 0, z])
    assert read_dicom(tmp_path).spacing[2] == pytest.approx(0.625)


def test_two_spacings(tmp_path, write_dicom, refused):
    for k, z in enumerate([0, 1, 2, 3, 5, 7]):
        stored = np.random.default_rng(k).integers(0, 2000, (6, 4)).astype(np.uint16)
        write_dicom(tmp_path / f"{k}", stored, ImagePositionPatient=[0, 0, z])
    assert "slices are missing or mixed: a gap of 2.00 mm between 3.00 and 5.00 mm" in refused(tmp_path)


def test_two_slices_in_one_place(tmp_path, write_series, refused):
    folder = write_series(tmp_path / "ct")
    shutil.copy(folder / "004.dcm", folder / "copy.dcm")
    assert "share their position with another (first: 004.dcm and copy.dcm)" in refused(folder)


def test_gantry_tilt(tmp_path, write_dicom, refused):
    for k in range(5):
        stored = np.random.default_rng(k).integers(0, 2000, (6, 4)).astype(np.uint16)
        write_dicom(tmp_path / f"{k}.dcm", stored, ImagePositionPatient=[0, 0.5 * k, 5.0 * k])
    assert "the gantry is tilted by 5.7° (slices drift 2.0 mm sideways)" in refused(tmp_path)


@pytest.mark.parametrize(
    ("tags", "problem"),
    [
        ({"Modality": "MR"}, "is not CT but MR"),
        ({"Modality": None}, "of no stated modality"),
        ({"Modality": "SEG", "SOPClassUID": SegmentationStorage, "NumberOfFrames": 3}, "is not CT but SEG"),
        ({"SOPClassUID": SecondaryCaptureImageStorage}, "is not a CT image"),
        ({"SOPClassUID": EnhancedCTImageStorage}, "does not describe each of its frames"),
        ({"NumberOfFrames": 20}, "multi-frame DICOM object .20 frames"),
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


@pytest.mark.parametrize(
    ("tags", "problem"),
    [
        ({"PixelSpacing": [0.5, 0.5]}, "different pixel spacings"),
        ({"ImageOrientationPatient": [0, 1, 0, 1, 0, 0]}, "different orientations"),
    ],
)
def test_slices_that_do_not_belong_together(tmp_path, write_series, write_dicom, tags, problem, refused):
    folder = write_series(tmp_path / "ct")
    place = {"ImagePositionPatient": [-10, -20, 60]}
    write_dicom(folder / "x.dcm", np.zeros((6, 4), np.uint16), **place, **tags)
    assert problem in refused(folder)


def test_mixed_sizes(tmp_path, write_series, write_dicom, refused):
    folder = write_series(tmp_path / "ct")
    write_dicom(folder / "x.dcm", np.zeros((9, 4), np.uint16), ImagePositionPatient=[-10, -20, 40])
    assert refused(folder) == "its slices have different sizes: 6 × 4 (5 files), 9 × 4 (1 files)"


def test_the_only_ct_is_taken_and_the_rest_is_named(tmp_path, write_series, write_dicom, refused):
    folder = write_series(tmp_path / "ct")
    one = np.zeros((6, 4), np.uint16)
    write_dicom(folder / "scout.dcm", one, SeriesInstanceUID="1.5", ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    write_dicom(folder / "mr.dcm", one, SeriesInstanceUID="1.6", Modality="MR")
    write_dicom(folder / "report.dcm", one, SeriesInstanceUID="1.7", Modality="SR")
    volume = read_dicom(folder)
    assert volume.array.shape == (4, 6, 5)
    assert volume.warnings == ("other images in its folder are left out: scout view, 1 slice; MR, 1 slice",)
    assert "is not CT but MR" in refused(folder / "mr.dcm")
