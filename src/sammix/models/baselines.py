"""Settings → a baseline with random weights."""

from __future__ import annotations

from torch import nn

from sammix.config import ModelConfig
from sammix.data.preprocess import Preprocess
from sammix.errors import ConfigError
from sammix.networks.baselines.baseline import Baseline
from sammix.networks.baselines.multimix import MultiMix
from sammix.networks.baselines.nnunet_style import NNUNetStyle
from sammix.networks.baselines.transunet import TransUNet
from sammix.networks.baselines.unet import UNet

STEP = 32  # px: sizes that all baselines can halve as often as they do


def build_baseline(model: ModelConfig, preprocess: Preprocess, name: str) -> Baseline:
    """The network of a kind. What chance decides follows torch's global seed.

    Raises:
        ConfigError: slices of a size that it cannot halve as often as it must.
    """
    size = preprocess.size
    if size % STEP or (model.kind == "nnunet-style" and size & (size - 1)):
        multiple = "a power of two" if model.kind == "nnunet-style" else f"a multiple of {STEP}"
        raise ConfigError(f"{model.kind} sees slices whose side is {multiple} px; data.size is {size}")
    return Baseline(_network(model, size), preprocess, name)


def _network(model: ModelConfig, size: int) -> nn.Module:
    match model.kind:
        case "unet":
            return UNet(model.width)
        case "nnunet-style":
            return NNUNetStyle(size, model.width)
        case "transunet":
            return TransUNet(size, model.width)
        case "multimix":
            return MultiMix(model.width)
        case other:
            raise ValueError(f"{other} is no baseline of its own network")
