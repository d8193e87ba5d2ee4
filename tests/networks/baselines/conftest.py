"""The baselines among the networks."""

from __future__ import annotations

import pytest


@pytest.fixture(params=["multimix", "nnunet-style", "transunet", "unet"])
def preset(request: pytest.FixtureRequest) -> str:
    """Each baseline in turn."""
    return str(request.param)
