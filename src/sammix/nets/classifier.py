"""The image-level classifier whose weights make the activation map (Zhou et al. 2016; the paper's eq. 2 to 4)."""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor, nn

PRESENT = 1
"""The class "the slice shows the organ"; class 0 is "it does not"."""


class CAMClassifier(nn.Module):
    """A feature extractor, global average pooling and a bias-free linear layer.

    The layer is applied at every position and its results averaged: without a bias that is the same as
    classifying the averaged features (eq. 2), and the map of class "present" is the activation map (eq. 4).

    Args:
        extractor: (B, …) → feature maps (B, channels, h, w); None where the input is such maps already.
        channels: of the feature maps.
    """

    def __init__(self, extractor: nn.Module | None, channels: int) -> None:
        super().__init__()
        self.extractor = nn.Identity() if extractor is None else extractor
        self.head = nn.Linear(channels, 2, bias=False)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """What the extractor takes → class logits (B, 2) and the map Σ w_i F_i of "present" (B, h, w)."""
        maps: Tensor = self.head(self.extractor(x).movedim(1, -1))
        return maps.mean((1, 2)), maps[..., PRESENT]


class SharedHead(nn.Module):
    """Feature extractor on SAM's frozen features: standardised channels, then 3×3 convolutions, group norm, GELU.

    Args:
        in_channels: of the features (LiteMedSAM's third stage gives 320), whose scales differ by two orders of
            magnitude.
        widths: channels after each convolution.
        strides: of each convolution; (2, 1) takes a 64×64 embedding to a 32×32 map.
    """

    def __init__(
        self, in_channels: int = 320, widths: Sequence[int] = (128, 128), strides: Sequence[int] = (2, 1)
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.BatchNorm2d(in_channels)]
        for before, after, stride in zip((in_channels, *widths), widths, strides, strict=False):
            layers += [
                nn.Conv2d(before, after, 3, stride, padding=1, bias=False),
                nn.GroupNorm(math.gcd(after, 8), after),
                nn.GELU(),
            ]
        self.layers = nn.Sequential(*layers)
        self.out_channels = widths[-1]

    def forward(self, features: Tensor) -> Tensor:
        """(B, in_channels, h, w) → (B, out_channels, h', w')."""
        maps: Tensor = self.layers(features)
        return maps
