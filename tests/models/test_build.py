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


@pytest.mark.parametrize("classifier", ["shared", "pooled"])
def test_settings_that_do_not_go_together(classifier: str) -> None:
    with pytest.raises(ConfigError, match=f"the {classifier} classifier .* use resnet38"):
        build_model_of("paper", f"model.classifier={classifier}")


def build_model_of(preset: str, *settings: str) -> None:
    import sammix.models.build as build

    config = load_preset(preset, settings)
    sam = build.build_sam_vit_b(None, image_size=64, lora_rank=1)
    build._classifier(config.model, sam)
