from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sammix.errors import InputError
from sammix.io.readers.formats import read_labels, read_volume
from sammix.io.readers.itk import read_itk
from sammix.io.readers.slicer_header import slicer_segments

HU = np.random.default_rng(0).integers(-1000, 900, (3, 4, 5)).astype("<i2")
DIRECTIONS = {"space directions": "(2,0,0) (0,3,0) (0,0,4)", "space origin": "(10,20,30)"}
TO_RAS = {"left-posterior-superior": (-1, -1, 1), "right-anterior-superior": (1, 1, 1), "LAS": (-1, 1, 1)}
META = {"ElementSpacing": "2 3 4", "TransformMatrix": "1 0 0 0 1 0 0 0 1", "Offset": "10 20 30"}


def write_nrrd(path: Path, fields: dict[str, str], sizes: str = "3 4 5", beside: bool = False) -> Path:
    """An NRRD file, written by its definition; ``beside`` puts the voxels into a file of their own."""
    lines = [f"type: short\ndimension: {len(sizes.split())}\nsizes: {sizes}\nendian: little\nencoding: raw"]
    lines += [f"{name}: {value}" for name, value in fields.items()]
    voxels = HU.tobytes("F")
    if beside:
        path.with_suffix(".raw").write_bytes(voxels)
        lines += [f"data file: {path.stem}.raw"]
    path.write_bytes(("NRRD0005\n" + "\n".join(lines) + "\n\n").encode() + (b"" if beside else voxels))
    return path


def write_meta(path: Path, fields: dict[str, str]) -> Path:
    lines = ["ObjectType = Image", "NDims = 3", "BinaryData = True", "BinaryDataByteOrderMSB = False"]
    lines += [f"{name} = {value}" for name, value in fields.items()]
    lines += ["DimSize = 3 4 5", "ElementType = MET_SHORT", "ElementDataFile = LOCAL\n"]
    path.write_bytes("\n".join(lines).encode() + HU.tobytes("F"))
    return path


@given(
    st.sampled_from(list(TO_RAS)),
    st.permutations(range(3)),
    st.tuples(*[st.sampled_from([-1, 1])] * 3),
    st.sampled_from([0, 0.4]),
)
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_nrrd_lies_where_its_definition_and_itk_say(tmp_path, space, order, signs, turn):
    turned = np.array([[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1]])
    axes = (turned @ np.diag(signs)[:, order] * (0.7, 1.3, 5.0)).T  # a row for each array axis
    vectors = " ".join(f"({x:.17g},{y:.17g},{z:.17g})" for x, y, z in axes)
    path = write_nrrd(tmp_path / "a.nrrd", {"space": space, "space directions": vectors, "space origin": "(10,-20,30)"})
    volume, image = read_itk(path), sitk.ReadImage(str(path))
    assert (volume.warnings, volume.trusted_geometry) == ((), True)
    np.testing.assert_array_equal(volume.array, HU)
    for index in itertools.product((0, 2), (0, 3), (0, 4)):
        point = (np.array([10, -20, 30]) + index @ axes) * TO_RAS[space]
        found = (volume.affine @ [*index, 1])[:3]
        np.testing.assert_allclose(found, point, atol=1e-9)
        np.testing.assert_allclose(image.TransformIndexToPhysicalPoint(index), found * (-1, -1, 1), atol=1e-9)


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"spacings": "2 3 4"}, "space directions are missing"),
        ({"space dimension": "3", **DIRECTIONS}, "space is missing"),
        ({"space": "scanner-xyz", **DIRECTIONS}, "its space is scanner-xyz"),
        ({"space": "3D-left-handed", **DIRECTIONS}, "its space is 3D-left-handed"),
        ({"SPACE": "3D-right-handed", **DIRECTIONS}, "its space is 3D-right-handed"),
    ],
)
def test_nrrd_without_an_orientation_is_said_to_be_so(tmp_path, fields, why):
    volume = read_itk(write_nrrd(tmp_path / "a.nrrd", fields))
    (warning,) = volume.warnings
    assert warning.startswith(f"no orientation in the patient is stored ({why}); its axes are taken to point left, ")
    assert volume.trusted_geometry, "lengths are known"
    np.testing.assert_allclose(volume.spacing, (2, 3, 4))
    assert volume.axcodes == ("L", "P", "S")


def test_metaimage_without_an_orientation_is_said_to_be_so(tmp_path):
    without = {name: value for name, value in META.items() if name != "TransformMatrix"}
    (warning,) = read_itk(write_meta(tmp_path / "a.mha", without)).warnings
    assert "no orientation in the patient is stored (TransformMatrix is missing)" in warning
    for name in ("TransformMatrix", "Rotation", "Orientation"):
        fields = {**without, name: "-1 0 0 0 -1 0 0 0 1"}
        volume = read_itk(write_meta(tmp_path / "a.mha", fields))
        assert (volume.warnings, volume.axcodes) == ((), ("R", "A", "S"))


def test_a_spacing_that_is_not_known_is_not_trusted(tmp_path):
    volume = read_itk(write_nrrd(tmp_path / "a.nrrd", {"spacings": "2 3 nan"}))
    assert not volume.trusted_geometry
    assert "its spacing is not known along every axis" in volume.warnings[0]
    with pytest.raises(InputError, match="ITK does not read"):
        read_itk(write_nrrd(tmp_path / "b.nrrd", {"spacings": "2 3 abc"}))


@pytest.mark.parametrize(
    ("fields", "mm"),
    [
        ({"space": "LPS", **DIRECTIONS, "space units": '"cm" "cm" "cm"'}, 10),
        ({"space": "LPS", **DIRECTIONS, "space units": '"mm" "mm" "mm"'}, 1),
        ({"space": "LPS", **DIRECTIONS, "space units": '"um" "um" "um"'}, 0.001),
        ({"spacings": "2 3 4", "units": '"m" "m" "m"'}, 1000),
    ],
)
def test_other_units_are_converted_and_named(tmp_path, fields, mm):
    volume = read_itk(write_nrrd(tmp_path / "a.nrrd", fields))
    np.testing.assert_allclose(volume.spacing, np.array((2, 3, 4)) * mm)
    if "space" in fields:
        np.testing.assert_allclose(volume.affine[:3, 3], np.array((-10, -20, 30)) * mm)
    assert any("converted to mm" in warning for warning in volume.warnings) == (mm != 1)


def test_metaimages_units_too(tmp_path):
    volume = read_itk(write_meta(tmp_path / "a.mha", {**META, "DistanceUnits": "cm"}))
    np.testing.assert_allclose(volume.spacing, (20, 30, 40))
    assert volume.warnings == ("its unit is cm; converted to mm, which ITK does not do",)
    assert read_itk(write_meta(tmp_path / "a.mha", {**META, "DistanceUnits": "mm"})).warnings == ()
    path = write_nrrd(tmp_path / "a.nrrd", {"space": "LPS", **DIRECTIONS, "space units": '"ell" "ell" "ell"'})
    assert read_itk(path).warnings == ("its unit is 'ell', which is not known; taken as mm",)


@pytest.mark.parametrize(
    ("sizes", "fields", "problem"),
    [
        ("3 4 5", {"space directions": "(2,0,0) (0,3,0) none"}, "an axis of it has no direction in space"),
        ("3 4 5", {**DIRECTIONS, "space units": '"mm" "mm" "cm"'}, r"its axes have different units \(cm and mm\)"),
        ("3 4 5", {"spacings": "2 3 4"}, "of a kind that ITK does not read"),
        ("3 4 5", {"space directions": "(2,0,0) (0,3,0) (0,0,0)"}, "damaged or cut short"),
        ("2 1 30", {"space directions": "none (2,0,0) (0,3,0)", "kinds": "list domain domain"}, "ITK does not read"),
        ("2 3 5 2", {"space directions": "none (2,0,0) (0,3,0) (0,0,4)", "kinds": "list domain domain domain"}, "colo"),
    ],
)
def test_what_itk_would_make_up_is_refused(tmp_path, sizes, fields, problem):
    with pytest.raises(InputError, match=problem):
        read_itk(write_nrrd(tmp_path / "a.nrrd", {"space": "LPS", **fields}, sizes))


@pytest.mark.parametrize("kinds", ["list domain domain domain", "domain domain domain list"])
def test_a_list_of_one_is_dropped(tmp_path, kinds):
    vectors = "none (2,0,0) (0,3,0) (0,0,4)" if kinds.startswith("list") else "(2,0,0) (0,3,0) (0,0,4) none"
    sizes = "1 3 4 5" if kinds.startswith("list") else "3 4 5 1"
    fields = {"space": "LPS", "kinds": kinds, "space directions": vectors}
    volume = read_itk(write_nrrd(tmp_path / "a.nrrd", fields, sizes))
    np.testing.assert_array_equal(volume.array, HU)
    np.testing.assert_allclose(volume.spacing, (2, 3, 4))


def test_comments_and_keys_of_ones_own_are_no_fields(tmp_path):
    fields = {"space": "LPS", **DIRECTIONS, "# space units": '"cm"', 'units:="cm"': ""}
    assert read_itk(write_nrrd(tmp_path / "a.nrrd", fields)).warnings == ()


def test_axes_that_are_not_perpendicular_are_not_trusted(tmp_path):
    sheared = {"space": "LPS", "space directions": "(2,0,0) (0,3,0) (0,0.5,4)"}
    volume = read_itk(write_nrrd(tmp_path / "a.nrrd", sheared))
    assert not volume.trusted_geometry
    assert "not perpendicular" in volume.warnings[0]
    np.testing.assert_allclose(volume.affine[:3, 2], (0, -0.5, 4))


def test_a_detached_header_is_read_and_names_a_file_beside_it_or_none(tmp_path):
    fields = {"space": "LPS", **DIRECTIONS}
    path = write_nrrd(tmp_path / "a.nhdr", fields, beside=True)
    volume = read_volume(path)
    np.testing.assert_array_equal(volume.array, HU)
    assert volume.warnings == ()
    skipped = write_nrrd(tmp_path / "b.nhdr", {**fields, "byte skip": "5"}, beside=True)
    (tmp_path / "b.raw").write_bytes(b"12345" + HU.tobytes("F"))
    np.testing.assert_array_equal(read_volume(skipped).array, HU)
    (tmp_path / "LOCAL").symlink_to("/dev/zero")
    for named in ("/dev/zero", "../a.raw", "LIST", "a%02d.raw 1 5 1", "LOCAL"):
        text = path.read_text().replace("a.raw", named)
        (tmp_path / "c.nhdr").write_text(text)
        with pytest.raises(InputError, match="names no single file beside it"):
            read_volume(tmp_path / "c.nhdr")
    (tmp_path / "a.raw").write_bytes(b"short")
    with pytest.raises(InputError, match="cut short"):
        read_volume(path)


def test_an_anatomical_orientation_that_contradicts_the_matrix_is_named(tmp_path):
    for said, warnings in (
        ("RAI", ()),
        ("???", ()),
        ("LPI", ("its AnatomicalOrientation is LPI, its TransformMatrix RAI; the matrix is used",)),
    ):
        volume = read_itk(write_meta(tmp_path / "a.mha", {**META, "AnatomicalOrientation": said}))
        assert volume.warnings == warnings
    image = sitk.GetImageFromArray(HU)
    image.SetDirection((0, 1, 0, -1, 0, 0, 0, 0, -1))
    image.SetSpacing((2, 3, 4))
    sitk.WriteImage(image, str(tmp_path / "b.mha"))
    assert read_itk(tmp_path / "b.mha").warnings == ()


def test_a_matrix_with_the_spacing_in_it_is_named(tmp_path):
    volume = read_itk(write_meta(tmp_path / "a.mha", {**META, "TransformMatrix": "2 0 0 0 3 0 0 0 4"}))
    assert volume.warnings == ("its TransformMatrix is not made of unit vectors: is the spacing counted twice?",)


@pytest.mark.parametrize("name", ["a.nrrd", "a.seg.nrrd", "a.nhdr"])
@pytest.mark.parametrize(
    "field", ["type", "encoding", "endian", "space", "kinds", "sizes", "space units", "unheard of"]
)
def test_a_field_of_a_mile_is_refused_before_itk_ends_the_process(tmp_path, name, field):
    fields = {"type": "short", "dimension": "3", "sizes": "2 2 2", "endian": "little", "encoding": "raw"}
    text = "".join(f"{key}: {value}\n" for key, value in {**fields, field: "9" * 3000}.items())
    (tmp_path / name).write_bytes(f"NRRD0004\n{text}\n".encode() + bytes(16))
    with pytest.raises(InputError, match=r"a line of its header has 3,0\d\d characters"):
        read_labels(tmp_path / name) if "seg" not in name else slicer_segments(tmp_path / name)


def test_someones_own_value_may_be_long(tmp_path):
    head = "NRRD0004\n# " + "c" * 3000 + "\ntype: short\ndimension: 3\nsizes: 2 2 2\n"
    head += "endian: little\nencoding: raw\n"
    head += "space: left-posterior-superior\nspace directions: (1,0,0) (0,1,0) (0,0,1)\nspace origin: (9,0,0)\n"
    (tmp_path / "a.nrrd").write_bytes(f"{head}notes:={'n' * 3000}\n\n".encode() + bytes(16))
    assert read_labels(tmp_path / "a.nrrd").array.shape == (2, 2, 2)


@pytest.mark.parametrize("said", ["-1", "0", "100", "1000000", "99999999999", "-1aryData = True", "", "x"])
def test_a_number_of_dimensions_on_which_itk_ends_the_process(tmp_path, said):
    text = "".join(f"{key} = {value}\n" for key, value in {**META, "NDims": said, "DimSize": "2 2 2"}.items())
    (tmp_path / "a.mha").write_text(f"ObjectType = Image\n{text}ElementType = MET_SHORT\nElementDataFile = LOCAL\n")
    with pytest.raises(InputError, match="does not say how many dimensions it has"):
        read_labels(tmp_path / "a.mha")


@pytest.mark.parametrize("name", ["x" * 5000 + ".raw", "a\0b.raw", "gone.raw"])
def test_voxels_under_a_name_that_no_file_can_have(tmp_path, name):
    text = "".join(f"{key} = {value}\n" for key, value in {**META, "NDims": 3, "DimSize": "2 2 2"}.items())
    (tmp_path / "a.mhd").write_text(f"ObjectType = Image\n{text}ElementType = MET_SHORT\nElementDataFile = {name}\n")
    with pytest.raises(InputError, match="names no single file beside it"):
        read_labels(tmp_path / "a.mhd")
