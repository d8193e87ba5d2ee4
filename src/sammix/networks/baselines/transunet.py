"""TransUNet, R50-ViT-B/16 (Chen et al., Medical Image Analysis 2024): ResNet, transformer and a U-Net's decoder."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sammix.networks.baselines.baseline import BaselineOutput, organ_logits

RESNET_UNITS = (3, 4, 9)
RESNET_WIDTH = 64
HIDDEN, LAYERS, HEADS, MLP_RATIO = 768, 12, 12, 4  # ViT-B
DECODER = (256, 128, 64, 16)
STRIDE = 16  # px a token


class TransUNet(nn.Module):
    """105.32 M parameters at 256² and two classes.

    Args:
        size: side of the slices in px, a multiple of 16; a token for every 16 × 16 px.
        width: factor on all channel counts.
        layers: of the transformer.
    """

    def __init__(self, size: int = 256, width: float = 1.0, layers: int = LAYERS) -> None:
        super().__init__()
        self.resnet = ResNetV2(max(2, round(RESNET_WIDTH * width)))
        *skips, deepest = self.resnet.out_channels
        hidden = HEADS * max(1, round(HIDDEN * width / HEADS))
        self.embed = nn.Conv2d(deepest, hidden, 1)
        self.positions = nn.Parameter(torch.zeros(1, (size // STRIDE) ** 2, hidden))
        nn.init.trunc_normal_(self.positions, std=0.02)
        self.transformer = nn.Sequential(*(TransformerLayer(hidden) for _ in range(layers)))
        self.norm = nn.LayerNorm(hidden, eps=1e-6)
        widths = [max(2, round(channels * width)) for channels in (512, *DECODER)]
        self.reduce = _conv_bn(hidden, widths[0])
        beside = [*skips[::-1], 0]
        self.up = nn.ModuleList(
            nn.Sequential(_conv_bn(below + skip, out), _conv_bn(out, out))
            for below, skip, out in zip(widths, beside, widths[1:], strict=False)
        )
        self.head = nn.Conv2d(widths[-1], 2, 3, padding=1)

    def forward(self, images: Tensor) -> BaselineOutput:
        """(B, 1, S, S) in [0, 1] → masks."""
        *skips, deepest = self.resnet(images)
        embedded = self.embed(deepest)
        tokens = self.norm(self.transformer(embedded.flatten(2).transpose(1, 2) + self.positions))
        x = self.reduce(tokens.transpose(1, 2).unflatten(2, embedded.shape[2:]))
        for stage, skip in zip(self.up, [*skips[::-1], None], strict=True):
            x = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
            x = stage(x if skip is None else torch.cat([x, skip], dim=1))
        return BaselineOutput(organ_logits(self.head(x))[:, None].float(), None)


class TransformerLayer(nn.Module):
    """A pre-norm layer of ViT (Dosovitskiy et al., ICLR 2021)."""

    def __init__(self, hidden: int, dropout: float = 0.1) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(hidden, eps=1e-6), nn.LayerNorm(hidden, eps=1e-6)
        self.attention = nn.MultiheadAttention(hidden, HEADS, batch_first=True)
        self.mlp = nn.Sequential(
            nn.Linear(hidden, MLP_RATIO * hidden),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(MLP_RATIO * hidden, hidden),
            nn.Dropout(dropout),
        )

    def forward(self, tokens: Tensor) -> Tensor:
        """(B, N, hidden) → the same."""
        normed = self.norm1(tokens)
        tokens = tokens + self.attention(normed, normed, normed, need_weights=False)[0]
        return tokens + self.mlp(self.norm2(tokens))  # type: ignore[no-any-return]


class ResNetV2(nn.Module):
    """ResNet-50's first three stages with group norm and standardised weights (Kolesnikov et al., ECCV 2020)."""

    def __init__(self, width: int = RESNET_WIDTH, units: Sequence[int] = RESNET_UNITS) -> None:
        super().__init__()
        self.root = nn.Sequential(StdConv2d(1, width, 7, 2, padding=3, bias=False), _group_norm(width), nn.ReLU())
        self.out_channels = [width, *(4 * width * 2**stage for stage in range(len(units)))]
        stages = []
        for stage, count in enumerate(units):
            before, after = self.out_channels[stage], self.out_channels[stage + 1]
            first = Bottleneck(before, after, stride=1 if stage == 0 else 2)
            stages.append(nn.Sequential(first, *(Bottleneck(after, after) for _ in range(count - 1))))
        self.stages = nn.ModuleList(stages)

    def forward(self, images: Tensor) -> list[Tensor]:
        """(B, 1, S, S) → features at S/2, S/4, S/8 and S/16."""
        features = [self.root(images)]
        x = F.max_pool2d(features[0], 3, 2, padding=1)
        for stage in self.stages:
            x = stage(x)
            features.append(x)
        return features


class Bottleneck(nn.Module):
    """1×1, 3×3, 1×1 with a shortcut, which is projected where the shape changes."""

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1) -> None:
        super().__init__()
        middle = out_channels // 4
        self.body = nn.Sequential(
            StdConv2d(in_channels, middle, 1, bias=False),
            _group_norm(middle),
            nn.ReLU(),
            StdConv2d(middle, middle, 3, stride, padding=1, bias=False),
            _group_norm(middle),
            nn.ReLU(),
            StdConv2d(middle, out_channels, 1, bias=False),
            _group_norm(out_channels),
        )
        self.shortcut = nn.Sequential()
        if stride != 1 or in_channels != out_channels:
            norm = nn.GroupNorm(out_channels, out_channels, eps=1e-5)
            self.shortcut.extend([StdConv2d(in_channels, out_channels, 1, stride, bias=False), norm])

    def forward(self, x: Tensor) -> Tensor:
        """(B, in, H, W) → (B, out, H/stride, W/stride)."""
        return F.relu(self.shortcut(x) + self.body(x))


class StdConv2d(nn.Conv2d):
    """A convolution whose weights are standardised for each output channel (Qiao et al. 2019)."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, in, H, W) → (B, out, H', W')."""
        variance, mean = torch.var_mean(self.weight, dim=(1, 2, 3), keepdim=True, correction=0)
        weight = (self.weight - mean) / (variance + 1e-5).sqrt()
        return F.conv2d(x, weight, self.bias, self.stride, self.padding, self.dilation, self.groups)


def _conv_bn(in_channels: int, out_channels: int) -> nn.Sequential:
    conv = nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(out_channels), nn.ReLU())


def _group_norm(channels: int) -> nn.GroupNorm:
    return nn.GroupNorm(math.gcd(32, channels), channels, eps=1e-6)
