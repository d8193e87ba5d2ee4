from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sammix.demo.phantoms import HOSPITALS, NATIVE, PORTAL

count = st.integers(1, 500)


@given(st.tuples(count, count, count))
def test_another_grid_shows_the_same_field_of_view(shape: tuple[int, int, int]) -> None:
    other = PORTAL.at(shape)
    assert other.shape == shape
    np.testing.assert_allclose(np.multiply(other.shape, other.spacing), np.multiply(PORTAL.shape, PORTAL.spacing))
    assert (other.name, other.phase, other.axcodes, other.noise) == (PORTAL.name, PORTAL.phase, ("L", "P", "S"), 11.0)


def test_hospitals_are_known_by_name() -> None:
    assert {"portal": PORTAL, "native": NATIVE} == HOSPITALS


@pytest.mark.parametrize("hospital", HOSPITALS.values(), ids=lambda hospital: hospital.name)
def test_a_hospital_s_field_of_view_holds_an_abdomen(hospital) -> None:  # type: ignore[no-untyped-def]
    x, y, z = np.multiply(hospital.shape, hospital.spacing)
    assert x > 380
    assert y > 300
    assert z > 230
