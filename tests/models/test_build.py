from __future__ import annotations

import pytest

from sammix.config import load_preset
from sammix.data.preprocess import Preprocess
from sammix.errors import ConfigError
from sammix.models.registry import build_model


@pytest.mark.parametrize(("preset", "size"), [("unet", 72), ("nnunet-style", 96)])
def test_sizes_that_do_not_halve_are_refused(preset: str, size: int) -> None:
    with pytest.raises(ConfigError, match=f"{preset} sees slices whose side is .* px; data.size is {size}"):
        build_model(load_preset(preset), Preprocess(size=size))
