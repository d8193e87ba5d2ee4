"""How large the networks are, counted without allocating them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch
from torch import nn

from sammix.errors import MissingExtraError
from sammix.networks.baselines.multimix import MultiMix
from sammix.networks.baselines.nnunet_style import NNUNetStyle
from sammix.networks.baselines.transunet import TransUNet
from sammix.networks.baselines.unet import UNet
from sammix.networks.classifiers import CAMClassifier, SharedClassifier, pooled_classifier
from sammix.networks.resnet38 import ResNet38
from sammix.networks.sam.segment_anything import SAM, build_lite_medsam, build_sam_vit_b
from sammix.networks.student import StudentUNet

BASELINES: dict[str, Callable[[], nn.Module]] = {
    "unet": UNet,
    "unet-standard": partial(UNet, width=4),
    "nnunet-style": NNUNetStyle,
    "transunet": TransUNet,
    "multimix": MultiMix,
}


class PartCount(NamedTuple):
    """A part of a network and its parameters, in millions."""

    name: str
    part: str
    millions: float


class ModelCounts(NamedTuple):
    """The parts of the networks, and why some networks are left out, a sentence each."""

    parts: list[PartCount]
    left_out: list[str]


def describe_models() -> str:
    """A table of the parameters of each part of the networks; below it, what is not installed."""
    parts, left_out = parameter_counts()
    head = f"{'network':15}{'part':34}{'parameters':>13}   millions"
    lines = [f"{name:15}{part:34}{round(m * 1e6):13,d}{m:11.2f}" for name, part, m in parts]
    return "\n".join([head, *lines, *left_out])


def parameter_counts() -> ModelCounts:
    """The parts of every network in the presets, with the numbers that the papers give to check against.

    A network of which a package is not installed is left out.
    """
    with torch.device("meta"):
        lite, vit_b = build_lite_medsam(None), build_sam_vit_b(None)
        shared, pooled = SharedClassifier(), pooled_classifier()
        student = StudentUNet()
        resnet = CAMClassifier(ResNet38(), 4096, reads_slices=True)
    parts = [
        *_sam_counts("LiteMedSAM", lite),
        *_sam_counts("SAM ViT-B", vit_b),
        PartCount("ResNet-38", "classifier with two-class head", _millions(resnet)),
        PartCount("shared", "classifier on frozen features", _millions(shared)),
        PartCount("student", "learns from a model's answers", _millions(student)),
        PartCount("pooled", "classifier on frozen features, SAM-PP's", _millions(pooled)),
    ]
    left_out = []
    for name, build in BASELINES.items():
        try:
            with torch.device("meta"):
                parts.append(PartCount(name, "baseline at 256 px, two classes", _millions(build())))
        except MissingExtraError as error:
            left_out.append(f"{name} is left out: {error}")
    return ModelCounts(parts, left_out)


def _sam_counts(name: str, sam: SAM) -> list[PartCount]:
    encoder = sam.image_encoder
    assert isinstance(encoder, nn.Module)
    lora = _millions(encoder, trainable=True)
    return [
        PartCount(name, "image encoder (frozen)", _millions(encoder) - lora),
        PartCount(name, "LoRA on q and v, rank 8", lora),
        PartCount(name, "mask decoder", _millions(sam.mask_decoder)),
        PartCount(name, "prompt encoder", _millions(sam.prompt_encoder, trainable=True)),
    ]


def _millions(module: nn.Module, trainable: bool = False) -> float:
    """Parameters of ``module``, or only those that training changes."""
    return sum(p.numel() for p in module.parameters() if p.requires_grad or not trainable) / 1e6
