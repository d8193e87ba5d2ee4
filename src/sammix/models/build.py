"""Settings → the network: SAM with its pretrained weights and LoRA, and a fresh classifier; or a baseline."""

from __future__ import annotations

import torch
from torch import Tensor

from sammix.config import Config, ModelConfig
from sammix.data.preprocess import Preprocess
from sammix.errors import ConfigError
from sammix.models import pretrained
from sammix.models.baselines import build_baseline
from sammix.networks.classifiers import CAMClassifier, SharedClassifier, pooled_classifier
from sammix.networks.network import Network
from sammix.networks.resnet38 import ResNet38
from sammix.networks.sam.segment_anything import SAM, build_lite_medsam, build_sam_vit_b, build_tiny
from sammix.networks.sam.tiny_vit import TinyViT
from sammix.networks.sam_mix import SAMMix
from sammix.networks.sam_pp import SAMPP

LITE_SIZE = 256  # px
SHARED_WIDTH, POOLED_WIDTH = 64, 128  # channels


def build_model(config: Config, preprocess: Preprocess, name: str = "sammix") -> tuple[Network, str | None]:
    """The network of a configuration, and the SHA-256 of its pretrained base (None for random weights).

    What chance decides (LoRA's A, the classifier) follows torch's global seed.

    Raises:
        WeightsError: the base is not installed or damaged. ConfigError: settings that do not go together.
    """
    model = config.model
    if model.kind not in ("sam-mix", "sam-pp"):
        return build_baseline(model, preprocess, name), None
    state, digest = _base(model.encoder)
    sam = _sam(model, preprocess.size, state)
    network = SAMPP if model.kind == "sam-pp" else SAMMix
    return network(sam, _classifier(model, sam), preprocess, model, name=name), digest


def _base(encoder: str) -> tuple[dict[str, Tensor] | None, str | None]:
    if encoder == "tiny":
        return None, None
    path = pretrained.ensure(encoder)
    return pretrained.load_state(encoder), pretrained.sha256(path)


def _sam(model: ModelConfig, size: int, state: dict[str, Tensor] | None) -> SAM:
    split = {"lora_blocks": model.lora_blocks, "lora_rank": model.lora_rank}
    if model.encoder == "lite-medsam":
        if size != LITE_SIZE:
            raise ConfigError(f"LiteMedSAM sees slices of {LITE_SIZE} px; data.size is {size}")
        return build_lite_medsam(state, **split)
    if model.encoder == "tiny":
        return build_tiny(image_size=size, **split)
    return build_sam_vit_b(state, image_size=size, **split)


def _classifier(model: ModelConfig, sam: SAM) -> CAMClassifier | SharedClassifier:
    if model.classifier == "resnet38":
        backbone = ResNet38(width=model.classifier_width)
        return CAMClassifier(backbone, backbone.out_channels)
    if not isinstance(sam.image_encoder, TinyViT):
        raise ConfigError(
            f"the {model.classifier} classifier reads LiteMedSAM's frozen stages; with {model.encoder} use resnet38"
        )
    channels = sam.image_encoder.frozen_features(torch.zeros(1, 1, 64, 64)).shape[1]
    if model.classifier == "pooled":
        return pooled_classifier(channels, round(POOLED_WIDTH * model.classifier_width))
    return SharedClassifier(channels, round(SHARED_WIDTH * model.classifier_width))
