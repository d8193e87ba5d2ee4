"""What tests of the whole need that comes from outside."""

from __future__ import annotations

import pytest

from sammix.errors import WeightsError
from sammix.models import installing


@pytest.fixture(scope="session")
def lite_medsam() -> None:
    """LiteMedSAM's weights, on which the shipped model stands; a test is skipped, with the reason, without them."""
    try:
        installing.ensure("lite-medsam")
    except WeightsError as error:
        pytest.skip(str(error))
