from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk

from sammix.errors import InputError
from sammix.io.volume import Volume
from sammix.io.writers.itk_mask import mask_image
from sammix.label.service import RefusedError
from sammix.label.slicer_masks import Segments, read_submitted

AFFINE = np.array([[-2.0, 0, 0, 30], [0, -2.0, 0, 40], [0, 0, 5.0, -100], [0, 0, 0, 1]])
SHAPE = (12, 10, 6)
SEGMENTS = Segments("liver")
NAMES = {name: n for n, name in enumerate(SEGMENTS.names, 1)}


@pytest.fixture
def scan() -> Volume:
    return Volume(np.zeros(SHAPE, np.int16), AFFINE)


@pytest.fixture
def drawn() -> np.ndarray:
    """The organ in slices 1 to 3, at the patient's right and to the front: every flip is seen."""
    array = np.zeros(SHAPE, np.uint8)
    array[1:4, 2:5, 1:4] = 1
    return array


def save(path: Path, array: np.ndarray, affine: np.ndarray = AFFINE) -> Path:
    nib.save(nib.Nifti1Image(array, affine), path)
    return path


def test_slices_that_are_drawn_come_upright(tmp_path: Path, scan: Volume, drawn: np.ndarray) -> None:
    found = read_submitted(save(tmp_path / "a.nii.gz", drawn), scan, SEGMENTS, NAMES)
    assert sorted(found.masks) == [1, 2, 3]
    np.testing.assert_array_equal(found.masks[2], Volume(drawn, AFFINE).axial().array[2] == 1)
    assert (found.absent, found.complete, found.remarks) == (frozenset(), False, ())


@pytest.mark.parametrize("axes", [(2, 1, 0), (1, 0, 2)])
def test_another_order_of_the_axes_is_the_same_grid(
    tmp_path: Path, scan: Volume, drawn: np.ndarray, axes: tuple[int, ...]
) -> None:
    image = nib.Nifti1Image(drawn, AFFINE)
    turned = image.as_reoriented(np.array([[axes.index(n), -1 if n else 1] for n in range(3)]))
    nib.save(turned, tmp_path / "a.nii.gz")
    found = read_submitted(tmp_path / "a.nii.gz", scan, SEGMENTS, NAMES)
    expected = Volume(drawn, AFFINE).axial().array
    assert sorted(found.masks) == [1, 2, 3]
    assert all((found.masks[k] == (expected[k] == 1)).all() for k in found.masks)


def test_one_stroke_says_no_for_its_slice_and_one_for_all_others(
    tmp_path: Path, scan: Volume, drawn: np.ndarray
) -> None:
    drawn[8, 8, 5], drawn[8, 8, 0] = 2, 3
    found = read_submitted(save(tmp_path / "a.nii.gz", drawn), scan, SEGMENTS, NAMES)
    assert (sorted(found.masks), found.absent, found.complete) == ([1, 2, 3], frozenset({5}), True)
    drawn[8, 8, 2] = 2
    with pytest.raises(RefusedError, match="slices 3 are drawn, and are said to show nothing"):
        read_submitted(save(tmp_path / "a.nii.gz", drawn), scan, SEGMENTS, NAMES)


@pytest.mark.parametrize("shift", [(1.0, 0, 0), (0, 0, 5.0), (0, 300.0, 0), (0.3, 0, 0)])
def test_what_lies_elsewhere_is_refused(
    tmp_path: Path, scan: Volume, drawn: np.ndarray, shift: tuple[float, ...]
) -> None:
    affine = AFFINE.copy()
    affine[:3, 3] += shift
    drawn[:, :, 5] = drawn[0] = 1  # reaches the edge
    with pytest.raises(InputError, match="do not lie on those of the scan"):
        read_submitted(save(tmp_path / "a.nii.gz", drawn, affine), scan, SEGMENTS, NAMES)


def test_the_mask_of_another_scan_is_refused(tmp_path: Path, scan: Volume) -> None:
    with pytest.raises(InputError, match="12 × 10 × 7 voxels do not lie on those of the scan"):
        read_submitted(save(tmp_path / "a.nii.gz", np.ones((12, 10, 7), np.uint8)), scan, SEGMENTS, NAMES)


def test_where_millimetres_mean_nothing_voxels_count(tmp_path: Path, drawn: np.ndarray) -> None:
    scan = Volume(np.zeros(SHAPE, np.int16), np.eye(4), trusted_geometry=False)
    found = read_submitted(save(tmp_path / "a.nii.gz", drawn), scan, SEGMENTS, NAMES)
    assert sorted(found.masks) == [1, 2, 3]


def test_a_segmentation_of_slicers_own_is_read_by_names(tmp_path: Path, scan: Volume, drawn: np.ndarray) -> None:
    part = drawn[:6, :6].copy()
    part[0, 0, 5] = 2
    image = mask_image(part, AFFINE)
    image = sitk.GetImageFromArray(part.transpose(2, 1, 0))
    image.CopyInformation(mask_image(part, AFFINE))
    for n, (name, value) in enumerate((("Liver", 1), ("no liver in this slice", 2))):
        image.SetMetaData(f"Segment{n}_Name", name)
        image.SetMetaData(f"Segment{n}_LabelValue", str(value))
        image.SetMetaData(f"Segment{n}_Layer", "0")
    sitk.WriteImage(image, str(tmp_path / "a.seg.nrrd"), True)
    found = read_submitted(tmp_path / "a.seg.nrrd", scan, SEGMENTS, {"spleen": 1})
    assert (sorted(found.masks), found.absent) == ([1, 2, 3], frozenset({5}))
    assert (found.masks[2] == (Volume(drawn, AFFINE).axial().array[2] == 1)).all()


@pytest.mark.parametrize(
    ("numbers", "slices", "remarks"),
    [
        ({}, [1, 2, 3], 0),
        ({"Segment_1": 1}, [1, 2, 3], 0),
        ({"Liver_left": 1, "spleen": 2}, [1, 2, 3], 1),
        ({"liver": 2}, "none", 0),
        ({"spleen": 1}, "no segment is called liver", 0),
        ({"a": 1, "b": 2}, "no segment is called liver", 0),
    ],
)
def test_which_segment_is_the_organ(
    tmp_path: Path, scan: Volume, drawn: np.ndarray, numbers: dict[str, int], slices: list[int] | str, remarks: int
) -> None:
    path = save(tmp_path / "a.nii.gz", drawn)
    if slices == "none":
        with pytest.raises(RefusedError, match=r"the label map holds \[1\]"):
            read_submitted(path, scan, SEGMENTS, numbers)
    elif isinstance(slices, str):
        with pytest.raises(RefusedError, match=slices):
            read_submitted(path, scan, SEGMENTS, numbers)
    else:
        found = read_submitted(path, scan, SEGMENTS, numbers)
        assert (sorted(found.masks), len(found.remarks)) == (slices, remarks)


def test_voxels_of_no_segment_are_named(tmp_path: Path, scan: Volume, drawn: np.ndarray) -> None:
    drawn[9, 9, 0] = 7
    found = read_submitted(save(tmp_path / "a.nii.gz", drawn), scan, SEGMENTS, NAMES)
    assert found.remarks == ("left out: voxels of [7], which is no segment's number",)


@pytest.mark.parametrize("suffix", [".nrrd", ".seg.nrrd", ".mha"])
def test_no_file_leads_to_another(tmp_path: Path, scan: Volume, suffix: str) -> None:
    secret = tmp_path / "secret.raw"
    secret.write_bytes(bytes(12 * 10 * 6))
    header = "NRRD0004\ntype: uchar\ndimension: 3\nsizes: 12 10 6\nencoding: raw\ndata file: secret.raw\n\n"
    if suffix == ".mha":
        header = "ObjectType = Image\nNDims = 3\nDimSize = 12 10 6\nElementType = MET_UCHAR\n"
        header += "ElementDataFile = secret.raw\n"
    (tmp_path / f"a{suffix}").write_text(header)
    with pytest.raises(InputError, match="another file"):
        read_submitted(tmp_path / f"a{suffix}", scan, SEGMENTS, NAMES)


@pytest.mark.parametrize("content", [b"", b"\x1f\x8b\x08", b"NRRD0004\n", bytes(400)])
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".nrrd", ".seg.nrrd", ".mha", ".png"])
def test_what_is_damaged_is_refused(tmp_path: Path, scan: Volume, suffix: str, content: bytes) -> None:
    (tmp_path / f"a{suffix}").write_bytes(content)
    with pytest.raises(InputError):
        read_submitted(tmp_path / f"a{suffix}", scan, SEGMENTS, NAMES)
