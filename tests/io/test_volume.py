"""Geometry: exact for every order of the axes, and the same as nibabel's and ITK's."""

from __future__ import annotations

from itertools import permutations, product

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from sammix.io.volume import AXIAL, Volume, disagreement, is_usable

ORDERS = [
    "".join(pair[side] for pair, side in zip(axes, sides, strict=True))
    for axes in permutations(("LR", "PA", "IS"))
    for sides in product((0, 1), repeat=3)
]
TOWARDS = {"R": (1, 0, 0), "L": (-1, 0, 0), "A": (0, 1, 0), "P": (0, -1, 0), "S": (0, 0, 1), "I": (0, 0, -1)}
LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


def affine_of(order: str, spacing=(0.7, 1.3, 5.0), angles=(0.0, 0.0, 0.0), origin=(12.5, -40.0, 333.0)):
    """An affine whose axes point to ``order``, then turned by ``angles`` in degrees."""
    affine = np.eye(4)
    affine[:3, :3] = np.transpose([TOWARDS[letter] for letter in order])
    affine[:3, :3] = Rotation.from_euler("xyz", angles, degrees=True).as_matrix() @ affine[:3, :3] * spacing
    affine[:3, 3] = origin
    return affine


def numbered(shape: tuple[int, ...]) -> np.ndarray:
    """Every voxel with a number of its own."""
    return np.arange(np.prod(shape), dtype=np.int16).reshape(shape)


def places(volume: Volume) -> dict[int, tuple[float, ...]]:
    """Where in the patient each numbered voxel lies."""
    index = np.argwhere(np.ones(volume.array.shape, bool))
    points = nib.affines.apply_affine(volume.affine, index).round(3) + 0.0
    return {int(volume.array[tuple(i)]): tuple(p) for i, p in zip(index, points, strict=True)}


def itk_image(volume: Volume) -> sitk.Image:
    image = sitk.GetImageFromArray(volume.array.transpose(2, 1, 0))
    lps = LPS @ volume.affine
    image.SetSpacing(volume.spacing)
    image.SetDirection((lps[:3, :3] / volume.spacing).ravel().tolist())
    image.SetOrigin(lps[:3, 3].tolist())
    return image


volumes = st.builds(
    lambda shape, *geometry: Volume(numbered(shape), affine_of(*geometry)),
    st.tuples(*[st.integers(1, 5)] * 3),
    st.sampled_from(ORDERS),
    st.tuples(*[st.floats(0.3, 8)] * 3),
    st.tuples(*[st.floats(-180, 180)] * 3),
    st.tuples(*[st.floats(-500, 500)] * 3),
)


def test_there_are_48_orders():
    assert len(set(ORDERS)) == 48


@pytest.mark.parametrize("order", ORDERS)
def test_axial_points_to_superior_posterior_left_and_moves_no_voxel(order):
    volume = Volume(numbered((2, 3, 4)), affine_of(order))
    axial = volume.axial()
    assert volume.axcodes == tuple(order)
    assert axial.axcodes == AXIAL
    assert places(axial) == places(volume)


@settings(max_examples=150)
@given(volumes)
def test_from_axial_undoes_axial_for_oblique_and_anisotropic_grids(volume):
    axial = volume.axial()
    back = volume.from_axial(axial.array)
    np.testing.assert_array_equal(back.array, volume.array)
    np.testing.assert_array_equal(back.affine, volume.affine)
    assert places(axial) == places(volume)


@settings(max_examples=50)
@given(volumes)
def test_points_are_where_itk_has_them(volume):
    for view in (volume, volume.axial()):
        image = itk_image(view)
        for index in ([0, 0, 0], [n - 1 for n in view.array.shape]):
            lps = image.TransformIndexToPhysicalPoint(index)
            ras = view.affine @ [*index, 1]
            np.testing.assert_allclose(lps, (LPS @ ras)[:3], atol=1e-6)


def test_axial_slices_are_upright():
    """The spine (posterior) is at the bottom, the liver (the patient's right) on the left."""
    volume = Volume(np.zeros((9, 9, 3), np.int16), affine_of("RAS", spacing=(1, 1, 1), origin=(-4, -4, 0)))
    volume.array[4, 0, 1] = 1  # posterior, in the middle
    volume.array[8, 4, 1] = 2  # right
    volume.array[4, 4, 2] = 3  # the uppermost slice
    axial = volume.axial().array
    assert np.argwhere(axial == 1).tolist() == [[1, 8, 4]]
    assert np.argwhere(axial == 2).tolist() == [[1, 4, 0]]
    assert np.argwhere(axial == 3).tolist() == [[2, 4, 4]]


def test_axial_spacing_goes_with_the_axes():
    volume = Volume(numbered((2, 3, 4)), affine_of("ASR", spacing=(0.7, 5.0, 0.9)))
    np.testing.assert_allclose(volume.spacing, (0.7, 5.0, 0.9))
    np.testing.assert_allclose(volume.axial().spacing, (5.0, 0.7, 0.9))


def test_from_axial_refuses_another_grid():
    volume = Volume(numbered((2, 3, 4)), affine_of("LPS"))
    with pytest.raises(ValueError, match="axial grid"):
        volume.from_axial(np.zeros((2, 3, 4)))


@pytest.mark.parametrize(
    ("array", "affine"),
    [
        (np.zeros((2, 2)), np.eye(4)),
        (np.zeros((2, 2, 2)), np.eye(3)),
        (np.zeros((2, 2, 2)), np.diag([1.0, 0.0, 1.0, 1.0])),
        (np.zeros((2, 2, 2)), np.full((4, 4), np.nan)),
    ],
)
def test_a_volume_without_a_grid_is_refused(array, affine):
    with pytest.raises(ValueError, match="affine"):
        Volume(array, affine)


@settings(max_examples=60)
@given(volumes, volumes, st.integers(0, 2**32 - 1))
def test_resample_agrees_with_itk(moving, reference, seed):
    """Overlapping grids at random angles; ITK's nearest neighbour is the oracle where no tie decides."""
    rng = np.random.default_rng(seed)
    moving = Volume(rng.integers(1, 99, moving.array.shape).astype(np.int16), moving.affine)
    reference.affine[:3, 3] = moving.affine[:3, 3]
    ours = moving.resample_to(reference).array
    image, grid = itk_image(moving), itk_image(reference)
    theirs = sitk.GetArrayFromImage(sitk.Resample(image, grid, sitk.Transform(), sitk.sitkNearestNeighbor, 0))
    to_own = np.linalg.inv(moving.affine) @ reference.affine
    index = np.indices(reference.array.shape).reshape(3, -1)
    position = to_own[:3, :3] @ index + to_own[:3, 3:]
    clear = (np.abs(position - np.floor(position) - 0.5) > 1e-4).all(axis=0)
    np.testing.assert_array_equal(ours.ravel()[clear], theirs.transpose(2, 1, 0).ravel()[clear])


@pytest.mark.parametrize("order", ORDERS)
def test_resample_reorders_axes_exactly(order):
    reference = Volume(numbered((3, 4, 5)), affine_of("LPS", angles=(3, -7, 11)))
    ornt = nib.orientations.ornt_transform(
        nib.orientations.axcodes2ornt(("L", "P", "S")), nib.orientations.axcodes2ornt(tuple(order))
    )
    other = Volume(
        nib.orientations.apply_orientation(reference.array, ornt),
        reference.affine @ nib.orientations.inv_ornt_aff(ornt, reference.array.shape),
    )
    resampled = other.resample_to(reference)
    np.testing.assert_array_equal(resampled.array, reference.array)
    np.testing.assert_array_equal(resampled.affine, reference.affine)


def test_resample_is_empty_outside():
    mask = Volume(np.ones((2, 2, 2), np.uint8), np.eye(4) + 0.0)
    far = Volume(np.zeros((3, 3, 3), np.int16), np.array(np.eye(4)) + np.eye(4, k=3) * 50)
    assert mask.resample_to(far).array.sum() == 0


def test_disagreement_is_the_farthest_corner_in_mm():
    one = affine_of("RAS", spacing=(1, 1, 2), origin=(0, 0, 0))
    other = affine_of("RAS", spacing=(1, 1, 2.5), origin=(3, 0, 0))
    assert disagreement((4, 4, 9), one, other) == pytest.approx(np.hypot(3, 0.5 * 8))
    assert disagreement((4, 4, 9), one, one) == 0


def test_usable_affines():
    assert is_usable(affine_of("RAS"))
    assert not is_usable(np.zeros((4, 4)))
