from __future__ import annotations

import contextlib
import traceback

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)

from sammix.errors import InputError
from sammix.io.readers.dicom import read_dicom


def itk_series(folder) -> sitk.Image:
    files = sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder))
    return sitk.ReadImage(files)


def assert_same_as_itk(volume, image):
    """Same HU at the same points of the patient, voxel by voxel."""
    assert volume.array.shape == image.GetSize()
    np.testing.assert_array_equal(volume.array, sitk.GetArrayFromImage(image).transpose(2, 1, 0))
    for index in [(0, 0, 0), tuple(n - 1 for n in volume.array.shape)]:
        x, y, z = image.TransformIndexToPhysicalPoint(index)
        np.testing.assert_allclose((volume.affine @ [*index, 1])[:3], (-x, -y, z), atol=1e-4)


def test_slices_are_sorted_by_position_not_by_name(tmp_path, write_series):
    volume = read_dicom(write_series(tmp_path / "ct"))
    assert volume.array.shape == (4, 6, 5)
    assert volume.array[0, 0].tolist() == [1000 + k - 1024 for k in range(5)]
    np.testing.assert_allclose(volume.spacing, (0.7, 0.9, 2.0))
    np.testing.assert_allclose(volume.affine[:3, 3], (10, 20, 30))
    assert volume.axcodes == ("L", "P", "S")
    assert volume.trusted_geometry
    assert volume.warnings == ()


def test_axial_shows_the_stored_slices(tmp_path, write_series):
    folder = write_series(tmp_path / "ct")
    lowest = pydicom.dcmread(folder / "005.dcm").pixel_array
    np.testing.assert_array_equal(read_dicom(folder).axial().array[0], lowest.astype(int) - 1024)


def test_geometry_is_itks(oriented_series):
    assert_same_as_itk(read_dicom(oriented_series), itk_series(oriented_series))


def test_slope_and_intercept_are_applied_a_slice(tmp_path, write_dicom):
    stored = np.arange(24, dtype=np.uint16).reshape(6, 4)
    write_dicom(tmp_path / "a.dcm", stored, RescaleSlope=2, RescaleIntercept=-1000)
    other = {"ImagePositionPatient": [-10, -20, 33], "SOPInstanceUID": "1.2.3.5"}
    write_dicom(tmp_path / "b.dcm", stored, RescaleSlope=0.5, **other)
    volume = read_dicom(tmp_path)
    np.testing.assert_allclose(volume.array[..., 0].T, stored * 2.0 - 1000)
    np.testing.assert_allclose(volume.array[..., 1].T, stored * 0.5 - 1024)


def test_padding_becomes_air(tmp_path, write_dicom):
    stored = np.full((6, 4), 1000, np.int16)
    stored[0], stored[1] = -2000, -1990
    path = write_dicom(tmp_path / "a.dcm", stored, PixelPaddingValue=-2000)
    assert read_dicom(path).array[0, :3, 0].tolist() == [-1024, -3014, -24]
    path = write_dicom(tmp_path / "a.dcm", stored, PixelPaddingValue=-2000, PixelPaddingRangeLimit=-1990)
    assert read_dicom(path).array[0, :3, 0].tolist() == [-1024, -1024, -24]


def test_one_file_is_one_slice(tmp_path, write_series):
    folder = write_series(tmp_path / "ct")
    volume = read_dicom(folder / "003.dcm")
    assert volume.array.shape == (4, 6, 1)
    assert volume.spacing[2] == pytest.approx(3)
    assert volume.warnings == ("one slice only; its thickness is taken as 3 mm",)


def test_no_patient_is_carried_or_named(tmp_path, write_series):
    folder = write_series(tmp_path / "ct")
    volume = read_dicom(folder)
    (folder / "002.dcm").unlink()
    with pytest.raises(InputError) as error:
        read_dicom(folder)
    assert "secret" not in (repr(volume) + str(error.value)).lower()


def test_damage_shows_no_patient(tmp_path, write_dicom, recwarn):
    """pydicom's own errors and warnings quote the bytes around the damage."""
    path = write_dicom(tmp_path / "a.dcm", np.arange(24, dtype=np.uint16).reshape(6, 4))
    raw = bytearray(path.read_bytes())
    raw[raw.index(b"1.2.840.10008.1.2.1") - 2] = 140  # a length that reaches beyond the patient's name
    path.write_bytes(raw)
    with pytest.raises(InputError, match="damaged") as error:
        read_dicom(path)
    assert not recwarn
    shown = "".join(traceback.format_exception(error.value))
    assert "Secret" not in shown
    with pytest.warns(UserWarning, match="Secret"):  # what is kept from the user
        pydicom.dcmread(path)


def test_no_dicom_at_all(tmp_path, refused):
    (tmp_path / "notes.txt").write_text("nothing here")
    (tmp_path / ".hidden.dcm").write_bytes(bytes(128) + b"DICM")
    assert refused(tmp_path) == "holds no DICOM file"


def test_other_files_beside_the_slices_are_left_alone(tmp_path, write_series):
    folder = write_series(tmp_path / "ct")
    (folder / "notes.txt").write_text("portal venous")
    (folder / "DICOMDIR").write_bytes(bytes(128) + b"DICM")
    assert read_dicom(folder).array.shape == (4, 6, 5)


@pytest.mark.parametrize("share", [0, 0.1, 0.3, 0.9, 0.99])
def test_a_file_cut_short(tmp_path, write_series, share):
    folder = write_series(tmp_path / "ct")
    content = (folder / "002.dcm").read_bytes()
    (folder / "002.dcm").write_bytes(content[: int(len(content) * share)])
    with pytest.raises(InputError, match=r"002\.dcm"):
        read_dicom(folder)


@pytest.mark.parametrize("share", [0, 0.1, 0.3])
def test_a_missing_end_is_said(tmp_path, write_series, share):
    """001 is the highest slice, where no gap shows that it is missing."""
    folder = write_series(tmp_path / "ct")
    content = (folder / "001.dcm").read_bytes()
    (folder / "001.dcm").write_bytes(content[: int(len(content) * share)])
    volume = read_dicom(folder)
    assert volume.array.shape == (4, 6, 4)
    (warning,) = volume.warnings
    assert "unreadable beside the scan: 1 × " in warning
    assert "(001.dcm)" in warning


def test_a_hostile_length(tmp_path, write_dicom, refused):
    path = write_dicom(tmp_path / "a.dcm", np.zeros((8, 8), np.uint16))
    content = path.read_bytes()
    at = content.index(b"\x18\x00\x50\x00DS")  # SliceThickness, now of four gigabytes
    path.write_bytes(content[:at] + b"\x18\x00\x50\x00OB\0\0" + b"\xf0\xff\xff\xff" + content[at + 10 :])
    assert "damaged, cut short" in refused(path)


def test_random_damage_gives_a_volume_or_an_input_error(tmp_path, write_series):
    rng = np.random.default_rng(0)
    content = (write_series(tmp_path / "ct") / "002.dcm").read_bytes()
    for _ in range(150):
        damaged = bytearray(content)
        for place in rng.integers(132, len(content), 3):
            damaged[place] = rng.choice([0, 255, rng.integers(256)])
        (tmp_path / "x.dcm").write_bytes(damaged)
        with contextlib.suppress(InputError):
            assert read_dicom(tmp_path / "x.dcm").array.ndim == 3


def test_lossless_jpeg_is_decoded(tmp_path):
    """Written by another program: ITK's own GDCM."""
    stored = np.random.default_rng(0).integers(0, 2000, (64, 48)).astype(np.uint16)
    image = sitk.GetImageFromArray(stored)
    image.SetMetaData("0008|0060", "CT")
    image.SetMetaData("0008|0016", "1.2.840.10008.5.1.4.1.1.2")
    writer = sitk.ImageFileWriter()
    writer.SetFileName(str(tmp_path / "jpeg.dcm"))
    writer.SetUseCompression(True)
    writer.SetCompressor("JPEG")
    writer.Execute(image)
    data = pydicom.dcmread(tmp_path / "jpeg.dcm")
    assert data.file_meta.TransferSyntaxUID == UID("1.2.840.10008.1.2.4.70")
    data.RescaleIntercept = -1000
    data.add_new("PixelPaddingValue", "US", int(stored[3, 4]))
    data.save_as(tmp_path / "jpeg.dcm")
    hu = read_dicom(tmp_path / "jpeg.dcm").array[..., 0].T
    np.testing.assert_array_equal(hu, np.where(stored == stored[3, 4], -1024, stored.astype(int) - 1000))


@pytest.mark.parametrize("syntax", [RLELossless, JPEG2000Lossless, JPEGLSLossless, DeflatedExplicitVRLittleEndian])
@pytest.mark.parametrize("signed", [False, True])
def test_compressed_pixels_are_the_same_pixels(tmp_path, write_dicom, syntax, signed):
    stored = np.random.default_rng(0).integers(-1000 if signed else 0, 2000, (64, 48))
    path = write_dicom(tmp_path / "a.dcm", stored.astype(np.int16 if signed else np.uint16), RescaleIntercept=-1024)
    data = pydicom.dcmread(path)
    if syntax.is_encapsulated:
        data.compress(syntax)
    data.file_meta.TransferSyntaxUID = syntax
    data.save_as(path)
    np.testing.assert_array_equal(read_dicom(path).array[..., 0].T, stored - 1024)


def test_an_enhanced_ct_is_the_same_scan(tmp_path, write_series, write_enhanced):
    folder = write_series(tmp_path / "ct")
    one, many = read_dicom(folder), read_dicom(write_enhanced(folder, tmp_path / "enhanced.dcm"))
    np.testing.assert_array_equal(many.array, one.array)
    np.testing.assert_allclose(many.affine, one.affine)
    assert many.warnings == ()


def test_each_frame_has_its_own_slope_and_position(tmp_path, write_series, write_enhanced, refused):
    path = write_enhanced(write_series(tmp_path / "ct"), tmp_path / "enhanced.dcm")
    data = pydicom.dcmread(path)
    stored = data.pixel_array.astype(float)
    for k, group in enumerate(data.PerFrameFunctionalGroupsSequence):
        values = pydicom.Dataset()
        values.RescaleSlope, values.RescaleIntercept, values.RescaleType = k + 1, -100 * k, "HU"
        group.PixelValueTransformationSequence = [values]
    data.save_as(path)
    order = np.argsort(
        [g.PlanePositionSequence[0].ImagePositionPatient[2] for g in data.PerFrameFunctionalGroupsSequence]
    )
    expected = np.stack([stored[k] * (k + 1) - 100 * k for k in order])
    np.testing.assert_allclose(read_dicom(path).array.transpose(2, 1, 0), expected)
    del data.PerFrameFunctionalGroupsSequence[2]
    data.save_as(path)
    assert refused(path) == "does not describe each of its frames"


def test_padding_that_is_written_unsigned(tmp_path, write_dicom):
    stored = np.full((6, 4), 1000, np.int16)
    stored[0] = -2000
    path = write_dicom(tmp_path / "a.dcm", stored)
    data = pydicom.dcmread(path)
    data.add_new("PixelPaddingValue", "US", 2**16 - 2000)
    data.save_as(path)
    assert read_dicom(path).array[0, :2, 0].tolist() == [-1024, -24]


@pytest.mark.parametrize("signed", [False, True])
def test_bits_that_are_not_stored_say_nothing(tmp_path, write_dicom, signed):
    """Twelve bits of sixteen: old scanners put overlays into the others, and leave the sign out of them."""
    low = -(2**11) if signed else 0
    true = np.random.default_rng(0).integers(low, low + 2**12, (6, 4))
    raw = (true & 0x0FFF) | np.random.default_rng(1).integers(0, 16, (6, 4)) << 12
    path = write_dicom(tmp_path / "a.dcm", raw.astype(np.uint16), BitsStored=12, HighBit=11, PixelRepresentation=signed)
    np.testing.assert_array_equal(read_dicom(path).array[..., 0].T, true - 1024)


@pytest.mark.parametrize("name", ["chaos-ct-3/dicom", "dicom-jpeg2000/dicom", "dicom-seg/ct"])
def test_real_series_are_itks(real_data, name):
    folder = real_data / name
    volume = read_dicom(folder)
    if name == "dicom-seg/ct":  # ITK leaves padding as it is: -3024 HU
        assert volume.array.shape == (512, 512, 3)
        assert volume.array.min() == -1024
    else:
        files = sorted(folder.iterdir(), key=lambda f: pydicom.dcmread(f).ImagePositionPatient[2])
        assert_same_as_itk(volume, sitk.ReadImage([str(f) for f in files]))
    assert volume.axcodes == ("L", "P", "S")
    cut = ("its instance numbers begin at 267: slices at one end may be missing",)
    assert volume.warnings == (cut if name == "dicom-jpeg2000/dicom" else ()), "of that series 20 slices are there"


def test_a_real_segmentation_is_no_scan(real_data):
    with pytest.raises(InputError, match="is not a CT slice but: Segmentation"):
        read_dicom(real_data / "dicom-seg/liver.dcm")
