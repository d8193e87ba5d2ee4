"""Settings → the network: SAM with its pretrained weights and LoRA, and a fresh classifier."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import nn

from sammix import weights
from sammix.config import Config, ModelConfig
from sammix.errors import ConfigError
from sammix.model import SAMMix
from sammix.nets.classifier import CAMClassifier, SharedHead
from sammix.nets.resnet38 import ResNet38
from sammix.nets.sam import SAM, build_lite_medsam, build_sam_vit_b, build_tiny
from sammix.slices.preprocess import Preprocess


def build_model(config: Config, preprocess: Preprocess, name: str = "sammix") -> tuple[SAMMix, str | None]:
    """The network of a configuration, and the SHA-256 of its pretrained base (None for random weights).

    What chance decides (LoRA's A, the classifier) follows torch's global seed.

    Raises:
        WeightsError: the base is not installed or damaged. ConfigError: settings that do not go together.
    """
    model = config.model
    state, digest = _base(model)
    sam = _sam(model, preprocess.size, state)
    return SAMMix(sam, _classifier(model, sam), preprocess, model, name=name), digest


def _base(model: ModelConfig) -> tuple[dict[str, Any] | None, str | None]:
    if model.encoder == "tiny":
        return None, None
    path = Path(model.weights) if model.weights else weights.locate(model.encoder)
    return weights.load_state(path), weights.sha256(path)


def _sam(model: ModelConfig, size: int, state: dict[str, Any] | None) -> SAM:
    if model.encoder == "lite-medsam":
        if size != 256:
            raise ConfigError(f"LiteMedSAM sees slices of 256 px; data.size is {size}")
        return build_lite_medsam(state, trainable_from=model.trainable_from, lora_rank=model.lora_rank)
    if model.encoder == "tiny":
        return build_tiny(image_size=size, trainable_from=model.trainable_from, lora_rank=model.lora_rank)
    return build_sam_vit_b(state, image_size=size, lora_rank=model.lora_rank)


def _classifier(model: ModelConfig, sam: SAM) -> CAMClassifier:
    extractor: nn.Module
    if model.classifier == "resnet38":
        extractor = ResNet38(width=model.classifier_width)
    else:
        extractor = SharedHead(sam.image_encoder.feature_channels, round(128 * model.classifier_width))
    return CAMClassifier(extractor)
