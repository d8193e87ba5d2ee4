"""Settings → SAM with its pretrained weights and LoRA, and a fresh classifier, as one network; or a baseline."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from sammix.config import ModelConfig
from sammix.data.preprocess import Preprocess
from sammix.errors import ConfigError
from sammix.models import installing, pretrained
from sammix.networks.baselines.baseline import Baseline
from sammix.networks.classifiers import CAMClassifier, SharedClassifier, pooled_classifier
from sammix.networks.interface import Network
from sammix.networks.resnet38 import ResNet38
from sammix.networks.sam.segment_anything import SAM, build_lite_medsam, build_sam_vit_b, build_tiny
from sammix.networks.sam.tiny_vit import TinyViT
from sammix.networks.sam_mix import SAMMix
from sammix.networks.student import Student, StudentClassifier, StudentUNet

LITE_SIZE = 256  # px
SHARED_WIDTH, POOLED_WIDTH = 64, 128  # channels
BLOCKS = {"lite-medsam": 12, "sam-vit-b": 12, "medsam-vit-b": 12, "tiny": 4}
"""Blocks of each encoder, of which the last may have LoRA."""

Built = tuple[Network, str | None]
"""A network, and the SHA-256 of its pretrained base; None for random weights."""

Build = Callable[[ModelConfig, Preprocess, str], Built]
"""(settings, how slices are made for it, its name) → the network. What chance decides follows torch's global seed."""


def build_sam_mix(model: ModelConfig, preprocess: Preprocess, name: str, network: type[SAMMix] = SAMMix) -> Built:
    """SAM-Mix, or its child ``network``.

    Raises:
        WeightsError: the base is not installed or damaged. ConfigError: settings that do not go together.
    """
    if model.lora_blocks > BLOCKS[model.encoder]:
        raise ConfigError(
            f"the encoder {model.encoder} has {BLOCKS[model.encoder]} blocks, but model.lora_blocks asks for LoRA in "
            f"{model.lora_blocks}; set it to {BLOCKS[model.encoder]} or less"
        )
    if model.classifier == "student":
        _check_side(model, preprocess.size, multiple=32)
    state, digest = _base(model.encoder)
    sam = _sam(model, preprocess.size, state)
    return network(sam, _classifier(model, sam), preprocess, model, name=name), digest


def build_student(model: ModelConfig, preprocess: Preprocess, name: str) -> Built:
    """A student.

    Raises:
        ConfigError: the slices' side cannot be halved as often as it does.
    """
    _check_side(model, preprocess.size, multiple=32)
    return Student(StudentUNet(model.width), preprocess, model.presence_offset, name), None


def build_baseline(make: Callable[[ModelConfig, int], nn.Module], multiple: int | None = 32) -> Build:
    """How a baseline is built.

    Args:
        make: (settings, side of the slices in px) → the bare network.
        multiple: of px that the slices' side must be, so that the network can halve it as often as it does; None: the
            side must be a power of two.
    """

    def build(model: ModelConfig, preprocess: Preprocess, name: str) -> Built:
        _check_side(model, preprocess.size, multiple)
        return Baseline(make(model, preprocess.size), preprocess, name), None

    return build


def _check_side(model: ModelConfig, size: int, multiple: int | None) -> None:
    if size % (multiple or 32) or (multiple is None and size & (size - 1)):
        wanted = "a power of two" if multiple is None else f"a multiple of {multiple}"
        raise ConfigError(f"{model.kind} sees slices whose side is {wanted} px; data.size is {size}")


def _base(encoder: str) -> tuple[dict[str, Tensor] | None, str | None]:
    if encoder == "tiny":
        return None, None
    path = installing.ensure(encoder)
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


def _classifier(model: ModelConfig, sam: SAM) -> CAMClassifier | SharedClassifier | StudentClassifier:
    if model.classifier == "student":
        return StudentClassifier(StudentUNet(model.classifier_width))
    if model.classifier == "resnet38":
        backbone = ResNet38(width=model.classifier_width)
        return CAMClassifier(backbone, backbone.out_channels, reads_slices=True)
    if not isinstance(sam.image_encoder, TinyViT):
        raise ConfigError(
            f"the {model.classifier} classifier reads LiteMedSAM's frozen stages; with {model.encoder} use resnet38"
        )
    channels = sam.image_encoder.frozen_features(torch.zeros(1, 1, 64, 64)).shape[1]
    if model.classifier == "pooled":
        return pooled_classifier(channels, round(POOLED_WIDTH * model.classifier_width))
    return SharedClassifier(channels, round(SHARED_WIDTH * model.classifier_width))
