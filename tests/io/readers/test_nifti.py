from __future__ import annotations

import contextlib
import gzip
import struct

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sammix.errors import InputError
from sammix.io.hu import AIR
from sammix.io.limits import MAX_BESIDE
from sammix.io.readers.nifti import first_slices, read_geometry, read_nifti, read_nifti_labels

AFFINE = np.array([[-0.8, 0, 0, 60.0], [0, -0.8, 0, 75.0], [0, 0, 2.5, -300.0], [0, 0, 0, 1]])


@pytest.mark.parametrize("name", ["ct.nii", "ct.nii.gz"])
def test_values_and_geometry_come_through(tmp_path, hu, write_nifti, name):
    volume = read_nifti(write_nifti(tmp_path / name, hu))
    np.testing.assert_array_equal(volume.array, hu)
    assert volume.array.dtype == np.int16
    np.testing.assert_allclose(volume.affine, AFFINE, atol=1e-5)
    assert volume.warnings == ()
    assert volume.trusted_geometry
    assert volume.path == tmp_path / name


def test_the_geometry_is_itks(tmp_path, hu, write_nifti):
    oblique = AFFINE.copy()
    oblique[:3, :3] = [[-0.64, 0.48, 0], [-0.48, -0.64, 0], [0, 0, 2.5]]
    path = write_nifti(tmp_path / "ct.nii", hu, oblique)
    volume, image = read_nifti(path), sitk.ReadImage(str(path))
    for index in [(0, 0, 0), (5, 6, 7), (1, 2, 3)]:
        ras = volume.affine @ [*index, 1]
        lps = image.TransformIndexToPhysicalPoint(index)
        np.testing.assert_allclose(lps, (-ras[0], -ras[1], ras[2]), atol=1e-4)
        assert volume.array[index] == image[index]


@pytest.mark.parametrize("kind", [nib.Nifti1Image, nib.Nifti2Image])
def test_whether_it_is_compressed_its_bytes_tell(tmp_path, hu, kind):
    nib.save(kind(hu, AFFINE), tmp_path / "ct.nii.gz")
    packed = (tmp_path / "ct.nii.gz").read_bytes()
    (tmp_path / "packed.nii").write_bytes(packed)
    (tmp_path / "plain.nii.gz").write_bytes(gzip.decompress(packed))
    for name in ("packed.nii", "plain.nii.gz"):
        np.testing.assert_array_equal(read_nifti(tmp_path / name).array, hu)
        np.testing.assert_array_equal(read_nifti_labels(tmp_path / name).array, hu)
        np.testing.assert_array_equal(first_slices(tmp_path / name, 2), hu[..., :2])
        shape, affine, warnings = read_geometry(tmp_path / name)
        assert (shape, warnings) == (hu.shape, ())
        np.testing.assert_allclose(affine, AFFINE, atol=1e-5)
    (tmp_path / "short.nii").write_bytes(packed[:-40])
    with pytest.raises(InputError, match="gzip data is damaged or cut short"):
        read_nifti(tmp_path / "short.nii")


def test_sizes_and_extensions_are_checked_whatever_the_name(tmp_path, hu, write_nifti):
    raw = bytearray(write_nifti(tmp_path / "ct.nii", hu).read_bytes())
    (tmp_path / "extended.nii").write_bytes(gzip.compress(with_extension(raw, 2**31 - 8)))
    with pytest.raises(InputError, match="an extension of its header claims"):
        read_nifti(tmp_path / "extended.nii")
    raw[42:48] = struct.pack("<3h", 9, 9, 9)
    (tmp_path / "plain.nii.gz").write_bytes(raw)
    with pytest.raises(InputError, match="is cut short: 9 × 9 × 9 voxels need 1,810 bytes, the file holds 1,024;"):
        read_nifti(tmp_path / "plain.nii.gz")
    (tmp_path / "bomb.nii").write_bytes(gzip.compress(raw + bytes(2 * MAX_BESIDE), 1))
    with pytest.raises(InputError, match="holds far more than its header says"):
        read_nifti(tmp_path / "bomb.nii")


def test_a_spacing_that_contradicts_the_sform_is_named(tmp_path, hu):
    image = nib.Nifti1Image(hu, None)
    image.set_sform(AFFINE, code=1)
    nib.save(image, tmp_path / "ct.nii")
    (warning,) = read_nifti(tmp_path / "ct.nii").warnings
    assert warning == "its sform has voxels of 0.8 × 0.8 × 2.5 mm, its pixdim of 1 × 1 × 1; the sform is used"


def test_slope_and_intercept_are_applied(tmp_path, hu):
    image = nib.Nifti1Image((hu.astype(np.int32) + 1024).astype(np.uint16), AFFINE)
    image.header.set_slope_inter(1, -1024)
    nib.save(image, tmp_path / "ct.nii")
    raw = bytearray((tmp_path / "ct.nii").read_bytes())
    assert struct.unpack("<2f", raw[112:120]) == (1, -1024)
    raw[352:] = (hu.astype(np.int32) + 1024).astype("<u2").tobytes(order="F")
    (tmp_path / "ct.nii").write_bytes(raw)
    volume = read_nifti(tmp_path / "ct.nii")
    np.testing.assert_array_equal(volume.array, hu)
    assert volume.array.dtype == np.int16

    raw[112:120] = struct.pack("<2f", 0.5, -1024)
    (tmp_path / "half.nii").write_bytes(raw)
    half = read_nifti(tmp_path / "half.nii")
    np.testing.assert_allclose(half.array, (hu + 1024.0) / 2 - 1024)
    assert half.array.dtype == np.float32


@pytest.mark.parametrize("dtype", [">i2", np.int32, np.float64])
def test_other_number_types(tmp_path, hu, write_nifti, dtype):
    volume = read_nifti(write_nifti(tmp_path / "ct.nii", hu.astype(dtype)))
    np.testing.assert_array_equal(volume.array, hu)
    assert volume.array.dtype == (np.float32 if dtype is np.float64 else np.int16)


def test_metres_become_millimetres(tmp_path, hu):
    image = nib.Nifti1Image(hu, np.diag([0.001, 0.001, 0.003, 1]))
    image.header.set_xyzt_units("meter")
    nib.save(image, tmp_path / "ct.nii")
    np.testing.assert_allclose(read_nifti(tmp_path / "ct.nii").spacing, (1, 1, 3), rtol=1e-5)


def test_one_frame_is_squeezed_and_a_plane_is_a_slice(tmp_path, hu, write_nifti):
    assert read_nifti(write_nifti(tmp_path / "a.nii", hu[..., None])).array.shape == (6, 7, 8)
    assert read_nifti(write_nifti(tmp_path / "b.nii", hu[:, :, 3])).array.shape == (6, 7, 1)


def test_identity_affine_is_named_and_not_trusted(tmp_path, hu, write_nifti):
    for affine in (np.eye(4), np.diag([-1.0, -1.0, 1.0, 1.0])):
        volume = read_nifti(write_nifti(tmp_path / "ct.nii", hu, affine))
        assert "identity affine" in volume.warnings[0]
        assert not volume.trusted_geometry


def test_no_stored_orientation_is_not_trusted(tmp_path, hu):
    image = nib.Nifti1Image(hu, None)
    image.header.set_zooms((0.8, 0.8, 2.5))
    nib.save(image, tmp_path / "ct.nii")
    volume = read_nifti(tmp_path / "ct.nii")
    assert "no orientation" in volume.warnings[0]
    assert not volume.trusted_geometry


def test_sform_and_qform_that_disagree_are_named(tmp_path, hu):
    image = nib.Nifti1Image(hu, AFFINE)
    shifted = AFFINE.copy()
    shifted[2, 3] += 12
    image.set_qform(shifted, code=1)
    image.set_sform(AFFINE, code=1)
    nib.save(image, tmp_path / "ct.nii")
    volume = read_nifti(tmp_path / "ct.nii")
    assert volume.warnings == ("sform and qform disagree by up to 12.0 mm; the sform is used",)
    np.testing.assert_allclose(volume.affine, AFFINE, atol=1e-5)


def test_a_broken_qform_is_named(tmp_path, hu):
    image = nib.Nifti1Image(hu, AFFINE)
    image.set_qform(AFFINE, code=1)
    nib.save(image, tmp_path / "ct.nii")
    raw = bytearray((tmp_path / "ct.nii").read_bytes())
    raw[256:268] = struct.pack("<3f", 3, 3, 3)  # no quaternion has such parts
    (tmp_path / "ct.nii").write_bytes(raw)
    volume = read_nifti(tmp_path / "ct.nii")
    assert volume.warnings == ("its qform is invalid; the sform is used",)
    np.testing.assert_allclose(volume.affine, AFFINE, atol=1e-5)


def test_sheared_axes_are_named_and_not_trusted(tmp_path, hu, write_nifti):
    sheared = AFFINE.copy()
    sheared[1, 2] = 0.6
    volume = read_nifti(write_nifti(tmp_path / "ct.nii", hu, sheared))
    assert "not perpendicular" in volume.warnings[0]
    assert not volume.trusted_geometry


def test_nan_becomes_air(tmp_path, hu, write_nifti):
    values = hu.astype(np.float32)
    values[2, 2, 2], values[3, 3, 3] = np.nan, np.inf
    volume = read_nifti(write_nifti(tmp_path / "ct.nii", values))
    assert volume.array[2, 2, 2] == volume.array[3, 3, 3] == AIR
    assert volume.warnings == ("2 voxels are NaN or infinite; taken as air (-1024 HU)",)


@pytest.mark.parametrize(("low", "high"), [(0, 1), (0, 255), (-160, 240), (0, 2000)])
def test_values_that_are_no_hu_are_named(tmp_path, write_nifti, low, high):
    values = np.linspace(low, high, 60, dtype=np.float32).reshape(3, 4, 5)
    volume = read_nifti(write_nifti(tmp_path / "ct.nii", values))
    named = f"values from {low} to {high}: not HU, or windowed? (air is -1000, fat -100 HU)"
    reasons = {1: "; they are normalised", 255: "; they are an 8-bit picture's"}
    assert volume.warnings == (named + reasons.get(high, ""),)


@pytest.mark.parametrize(
    ("array", "problem"),
    [
        (np.full((3, 3, 3), 40, np.int16), "every voxel is 40"),
        (np.full((3, 3, 3), np.nan, np.float32), "no voxel has a finite value"),
        (np.zeros((3, 3, 3, 5), np.int16), "is 4-D: 5 frames"),
        (np.zeros((3, 3, 3, 1, 3), np.int16), "is 5-D: 1 × 3 frames"),
        (np.zeros((3, 3, 3), np.complex64), "colours or complex"),
        (np.zeros((3, 3, 3), np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")])), "colours or complex"),
    ],
)
def test_what_is_no_scan_is_refused(tmp_path, write_nifti, array, problem):
    with pytest.raises(InputError, match=problem):
        read_nifti(write_nifti(tmp_path / "ct.nii", array))


def test_singular_affine_is_refused(tmp_path, hu, write_nifti):
    raw = bytearray(write_nifti(tmp_path / "ct.nii", hu).read_bytes())
    raw[280:328] = bytes(48)  # srow_x, srow_y, srow_z
    (tmp_path / "ct.nii").write_bytes(raw)
    with pytest.raises(InputError, match="affine"):
        read_nifti(tmp_path / "ct.nii")


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("empty.nii", b"", "the file is empty"),
        ("empty.nii.gz", b"", "the file is empty"),
        ("text.nii", b"this is no image\n" * 99, "is not a NIfTI file"),
        ("text.nii.gz", b"this is no image\n" * 99, "is not a NIfTI file"),
        ("text_inside.nii.gz", gzip.compress(b"this is no image\n" * 99, mtime=0), "is not a NIfTI file"),
    ],
)
def test_what_is_no_nifti_is_refused(tmp_path, name, content, problem):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=problem) as error:
        read_nifti(tmp_path / name)
    assert str(error.value).startswith(str(tmp_path / name))


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
@pytest.mark.parametrize("name", ["ct.nii", "ct.nii.gz"])
def test_files_cut_short_are_refused(tmp_path, hu, write_nifti, name, share):
    path = write_nifti(tmp_path / name, hu)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    with pytest.raises(InputError, match=r"cut short|NIfTI"):
        read_nifti(path)


def test_gzip_data_that_does_not_match_its_checksum_is_refused(tmp_path, hu, write_nifti):
    path = write_nifti(tmp_path / "ct.nii.gz", hu)
    raw = bytearray(path.read_bytes())
    raw[-6] ^= 1  # in the CRC of the whole
    path.write_bytes(raw)
    with pytest.raises(InputError, match="gzip data is damaged"):
        read_nifti(path)


@pytest.mark.parametrize("name", ["ct.nii", "ct.nii.gz"])
def test_an_absurd_claim_is_refused_before_memory_is_asked_for(tmp_path, hu, write_nifti, name):
    raw = bytearray(write_nifti(tmp_path / "ct.nii", hu).read_bytes())
    for sides, problem in [
        ((6, 0, 8), "no voxels"),
        ((1200, 1200, 1200), "cut short"),
        ((30000, 30000, 30000), "more than any CT"),
    ]:
        raw[42:48] = struct.pack("<3h", *sides)
        (tmp_path / name).write_bytes(gzip.compress(raw) if name.endswith("gz") else raw)
        with pytest.raises(InputError, match=problem):
            read_nifti(tmp_path / name)


@pytest.mark.parametrize(
    ("offset", "problem"),
    [
        (600, "is cut short: 6 × 7 × 8 voxels need 1,272 bytes"),
        (2 * MAX_BESIDE, "its voxels begin at byte 134,217,728, absurdly late"),
        (float("nan"), "cannot be read as NIfTI"),
    ],
)
def test_voxels_that_begin_too_late_are_refused(tmp_path, hu, write_nifti, offset, problem):
    raw = bytearray(write_nifti(tmp_path / "ct.nii", hu).read_bytes())
    raw[108:112] = struct.pack("<f", offset)  # vox_offset
    (tmp_path / "ct.nii").write_bytes(raw)
    with pytest.raises(InputError, match=problem):
        read_nifti(tmp_path / "ct.nii")


def with_extension(raw: bytes, claimed: int, order: str = "<") -> bytes:
    """A NIfTI-1 file whose header is followed by an extension of a kilobyte, and what that claims to be."""
    extended = bytearray(raw[:348] + b"\1\0\0\0" + struct.pack(f"{order}2i", claimed, 4) + bytes(1016) + raw[352:])
    extended[108:112] = struct.pack(f"{order}f", 352 + 1024)
    return bytes(extended)


@pytest.mark.parametrize("claimed", [2**31 - 8, 1032, 0, -16])
def test_an_extension_that_claims_too_much_is_not_unpacked(tmp_path, hu, write_nifti, claimed):
    raw = write_nifti(tmp_path / "ct.nii", hu).read_bytes()
    (tmp_path / "ct.nii.gz").write_bytes(gzip.compress(with_extension(raw, claimed)))
    with pytest.raises(InputError, match=f"an extension of its header claims {claimed:,} bytes"):
        read_nifti(tmp_path / "ct.nii.gz")


def test_an_honest_extension_is_passed_over(tmp_path, hu, write_nifti):
    raw = write_nifti(tmp_path / "ct.nii", hu).read_bytes()
    (tmp_path / "ct.nii").write_bytes(with_extension(raw, 1024))
    np.testing.assert_array_equal(read_nifti(tmp_path / "ct.nii").array, hu)


def test_a_gzip_bomb_is_refused(tmp_path, hu, write_nifti):
    raw = write_nifti(tmp_path / "ct.nii", hu).read_bytes()
    (tmp_path / "ct.nii.gz").write_bytes(gzip.compress(raw + bytes(2 * MAX_BESIDE), 1))
    with pytest.raises(InputError, match="holds far more than its header says"):
        read_nifti(tmp_path / "ct.nii.gz")


def test_damage_in_the_first_slices_is_named(tmp_path, write_nifti):
    hu = np.random.default_rng(0).integers(-1000, 900, (20, 20, 8)).astype(np.int16)
    path = write_nifti(tmp_path / "ct.nii.gz", hu)
    np.testing.assert_array_equal(first_slices(path, 2), hu[..., :2])
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(InputError, match="gzip data is damaged or cut short"):
        first_slices(path, 8)


def test_labels_are_read_as_they_are(tmp_path, write_nifti):
    labels = np.zeros((3, 4, 5), np.float64)
    assert read_nifti_labels(write_nifti(tmp_path / "empty.nii", labels)).array.max() == 0
    labels[1, 1, 1] = 2
    assert read_nifti_labels(write_nifti(tmp_path / "mask.nii", labels)).array[1, 1, 1] == 2


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(st.lists(st.tuples(st.integers(0, 351), st.integers(0, 255)), min_size=1, max_size=4))
def test_a_damaged_header_gives_a_volume_or_an_input_error(tmp_path, hu, write_nifti, damage):
    raw = bytearray(write_nifti(tmp_path / "ct.nii", hu).read_bytes())
    for place, value in damage:
        raw[place] = value
    (tmp_path / "ct.nii").write_bytes(raw)
    with contextlib.suppress(InputError):
        assert read_nifti(tmp_path / "ct.nii").array.ndim == 3


def test_real_scan(real_data):
    volume = read_nifti(real_data / "totalsegmentator/s0001/ct.nii.gz")
    assert volume.array.shape == (122, 101, 112)
    assert volume.axcodes == ("R", "A", "S")
    np.testing.assert_allclose(volume.spacing, 3, atol=1e-4)
    assert volume.warnings == ()
    assert volume.axial().array.shape == (112, 101, 122)
