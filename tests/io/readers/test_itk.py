from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk

from sammix.errors import InputError
from sammix.io.readers.itk import read_itk, read_itk_labels


@pytest.fixture
def image(hu) -> sitk.Image:
    image = sitk.GetImageFromArray(hu.transpose(2, 1, 0))
    image.SetSpacing((0.8, 0.7, 2.5))
    image.SetDirection((0.8, -0.6, 0, 0.6, 0.8, 0, 0, 0, 1))
    image.SetOrigin((-60, -75, -300))
    return image


@pytest.mark.parametrize("name", ["ct.mha", "ct.mhd", "ct.nrrd"])
@pytest.mark.parametrize("compressed", [True, False])
def test_values_and_points(tmp_path, hu, image, name, compressed):
    sitk.WriteImage(image, str(tmp_path / name), compressed)
    volume = read_itk(tmp_path / name)
    np.testing.assert_array_equal(volume.array, hu)
    assert volume.array.dtype == np.int16
    assert volume.trusted_geometry
    for index in [(0, 0, 0), (5, 6, 7)]:
        x, y, z = image.TransformIndexToPhysicalPoint(index)
        np.testing.assert_allclose((volume.affine @ [*index, 1])[:3], (-x, -y, z), atol=1e-6)


def test_identity_is_not_trusted(tmp_path, hu):
    sitk.WriteImage(sitk.GetImageFromArray(hu), str(tmp_path / "ct.mha"))
    volume = read_itk(tmp_path / "ct.mha")
    assert "identity affine" in volume.warnings[0]
    assert not volume.trusted_geometry


def test_labels(tmp_path):
    sitk.WriteImage(sitk.GetImageFromArray(np.zeros((2, 3, 4), np.uint8)), str(tmp_path / "mask.nrrd"))
    assert read_itk_labels(tmp_path / "mask.nrrd").array.shape == (4, 3, 2)


@pytest.mark.parametrize("named", ["/dev/zero", "../other.raw", "LIST", "there-is-none.raw", "link.raw"])
@pytest.mark.parametrize("suffix", [".mha", ".nrrd"])
def test_voxels_outside_the_folder_are_not_opened(tmp_path, image, suffix, named):
    path = tmp_path / f"ct{suffix}"
    (tmp_path / "link.raw").symlink_to("/dev/zero")
    sitk.WriteImage(image, str(path))
    content = path.read_bytes().replace(b"ElementDataFile = LOCAL", f"ElementDataFile = {named}".encode())
    path.write_bytes(content.replace(b"encoding:", f"data file: {named}\nencoding:".encode()))
    with pytest.raises(InputError, match="names no single file beside it"):
        read_itk(path)


@pytest.mark.parametrize(
    ("suffix", "content", "problem"),
    [
        (".mha", b"ObjectType = Image\nNDims = 3\n", "nothing says where its voxels are"),
        (".nrrd", b"NRRD0004\ntype: short\ndimension: 3\n", "its header has no end"),
    ],
)
def test_a_header_without_an_end(tmp_path, suffix, content, problem):
    (tmp_path / f"ct{suffix}").write_bytes(content)
    with pytest.raises(InputError, match=problem):
        read_itk(tmp_path / f"ct{suffix}")


def test_voxels_beside_the_header_must_all_be_there(tmp_path, image):
    sitk.WriteImage(image, str(tmp_path / "ct.mhd"))
    raw = tmp_path / "ct.raw"
    raw.write_bytes(raw.read_bytes()[:5])
    header = (tmp_path / "ct.mhd").read_text().replace("DimSize = 6 7 8", "DimSize = 600 700 800")
    (tmp_path / "ct.mhd").write_text(header)
    with pytest.raises(InputError, match=r"ct\.raw: is cut short: 600 × 700 × 800 voxels need"):
        read_itk(tmp_path / "ct.mhd")


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("name", ["ct.mha", "ct.nrrd"])
def test_files_cut_short(tmp_path, image, name, share):
    path = tmp_path / name
    sitk.WriteImage(image, str(path))
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    with pytest.raises(InputError, match="damaged or cut short"):
        read_itk(path)


def test_four_dimensions_and_colours(tmp_path):
    sitk.WriteImage(sitk.Image([3, 3, 3, 2], sitk.sitkInt16), str(tmp_path / "a.mha"))
    with pytest.raises(InputError, match="is 4-D"):
        read_itk(tmp_path / "a.mha")
    sitk.WriteImage(sitk.Image([3, 3, 3], sitk.sitkVectorUInt8, 3), str(tmp_path / "b.mha"))
    with pytest.raises(InputError, match="colours"):
        read_itk(tmp_path / "b.mha")


def test_an_absurd_claim(tmp_path, image):
    sitk.WriteImage(image, str(tmp_path / "ct.mha"))
    raw = (tmp_path / "ct.mha").read_bytes().replace(b"DimSize = 6 7 8", b"DimSize = 30000 30000 30000")
    (tmp_path / "ct.mha").write_bytes(raw)
    with pytest.raises(InputError, match="more than any CT"):
        read_itk(tmp_path / "ct.mha")
