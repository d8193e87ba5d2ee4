"""How large the networks are, counted without allocating them."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import nn

from sammix.networks.baselines.multimix import MultiMix
from sammix.networks.baselines.nnunet_style import NNUNetStyle
from sammix.networks.baselines.transunet import TransUNet
from sammix.networks.baselines.unet import UNet
from sammix.networks.classifiers import CAMClassifier, SharedClassifier, pooled_classifier
from sammix.networks.resnet38 import ResNet38
from sammix.networks.sam.segment_anything import SAM, build_lite_medsam, build_sam_vit_b


class PartCount(NamedTuple):
    """A part of a network and its parameters, in millions."""

    name: str
    part: str
    millions: float


def parameter_counts() -> list[PartCount]:
    """The parts of every network in the presets, with the numbers that the papers give to check against."""
    with torch.device("meta"):
        lite, vit_b = build_lite_medsam(None), build_sam_vit_b(None)
        shared, pooled = SharedClassifier(), pooled_classifier()
        resnet = CAMClassifier(ResNet38(), 4096)
        baselines = {
            "unet": UNet(),
            "unet-standard": UNet(width=4),
            "nnunet-style": NNUNetStyle(),
            "transunet": TransUNet(),
            "multimix": MultiMix(),
        }
    return [
        *_sam_counts("LiteMedSAM", lite),
        *_sam_counts("SAM ViT-B", vit_b),
        PartCount("ResNet-38", "classifier with two-class head", _millions(resnet)),
        PartCount("shared", "classifier on frozen features", _millions(shared)),
        PartCount("pooled", "classifier on frozen features, SAM-PP's", _millions(pooled)),
        *(PartCount(name, "baseline at 256 px, two classes", _millions(net)) for name, net in baselines.items()),
    ]


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
