"""U-Net (Ronneberger, Fischer and Brox, MICCAI 2015), as the paper's authors build it: instance norm, bilinear."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sammix.networks.baselines.baseline import BaselineOutput, organ_logits

WIDTHS = (16, 32, 64, 128, 256)


class UNet(nn.Module):
    """Five levels, each of two 3×3 convolutions; halved by max-pooling, doubled bilinearly, joined by concatenation.

    With 16 to 256 channels it has 1.963 M parameters, with the original's 64 to 1024 (``width`` 4) 31.38 M.

    Args:
        width: factor on all channel counts.
        bridge_channels: what :meth:`decode` joins to the first decoder stage besides.
    """

    def __init__(self, width: float = 1.0, bridge_channels: int = 0) -> None:
        super().__init__()
        widths = [max(1, round(channels * width)) for channels in WIDTHS]
        self.down = nn.ModuleList(_two_convs(a, b) for a, b in zip([1, *widths], widths, strict=False))
        bridges = [bridge_channels, 0, 0, 0]
        pairs = zip(widths[:0:-1], widths[-2::-1], bridges, strict=True)
        self.up = nn.ModuleList(_two_convs(below + beside + bridge, beside) for below, beside, bridge in pairs)
        self.head = nn.Conv2d(widths[0], 2, 3, padding=1)
        self.out_channels = widths[-1]

    def encode(self, images: Tensor) -> list[Tensor]:
        """(B, 1, S, S) → features of all levels, the finest first; S a multiple of 16."""
        features = [self.down[0](images)]
        for level in list(self.down)[1:]:
            features.append(level(F.max_pool2d(features[-1], 2)))
        return features

    def decode(self, features: Sequence[Tensor], bridge: Tensor | None = None) -> Tensor:
        """Features, and perhaps a bridge (B, C, S/8, S/8) → mask logits (B, 1, S, S)."""
        x = features[-1]
        for stage, beside in zip(self.up, features[-2::-1], strict=True):
            x = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
            x = stage(torch.cat([beside, x] if bridge is None else [beside, x, bridge], dim=1))
            bridge = None
        return organ_logits(self.head(x))[:, None].float()

    def forward(self, images: Tensor) -> BaselineOutput:
        """(B, 1, S, S) in [0, 1] → masks."""
        return BaselineOutput(self.decode(self.encode(images)), None)


def _two_convs(in_channels: int, out_channels: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for channels in (in_channels, out_channels):
        layers += [nn.Conv2d(channels, out_channels, 3, padding=1), nn.InstanceNorm2d(out_channels), nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers)
