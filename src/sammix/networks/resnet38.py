"""ResNet-38, the paper's classifier backbone: model A1 of Wu, Shen and van den Hengel, "Wider or Deeper" (2016)."""

from __future__ import annotations

from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

# (units, middle, out) of the blocks B2 to B5, each unit two 3×3 convolutions
PLAIN_BLOCKS = ((3, 128, 128), (3, 256, 256), (6, 512, 512), (3, 512, 1024))
# (first, middle, out) of B6 and B7, each one unit of 1×1, 3×3, 1×1
BOTTLENECK_BLOCKS = ((512, 1024, 2048), (1024, 2048, 4096))


class PlainUnit(nn.Module):
    """Pre-activation unit: two 3×3 convolutions and a shortcut, 1×1 where the shape changes."""

    def __init__(self, in_channels: int, middle: int, out: int, stride: int, dilations: tuple[int, int]) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.BatchNorm2d(in_channels), nn.BatchNorm2d(middle)
        self.conv1 = _conv3x3(in_channels, middle, dilations[0], stride)
        self.conv2 = _conv3x3(middle, out, dilations[1])
        changes = in_channels != out or stride != 1
        self.shortcut = nn.Conv2d(in_channels, out, 1, stride, bias=False) if changes else None

    def forward(self, x: Tensor) -> Tensor:
        """(B, in_channels, H, W) → (B, out, H/stride, W/stride)."""
        active = F.relu(self.norm1(x))
        shortcut = x if self.shortcut is None else self.shortcut(active)
        y: Tensor = self.conv2(F.relu(self.norm2(self.conv1(active))))
        return y + shortcut


class BottleneckUnit(nn.Module):
    """Pre-activation unit: 1×1, 3×3 and 1×1 convolutions with dropout between, and a 1×1 shortcut."""

    def __init__(
        self, in_channels: int, widths: tuple[int, int, int], stride: int, dilation: int, dropout: float
    ) -> None:
        super().__init__()
        first, middle, out = widths
        self.norm1, self.norm2, self.norm3 = (nn.BatchNorm2d(n) for n in (in_channels, first, middle))
        self.conv1 = nn.Conv2d(in_channels, first, 1, stride, bias=False)
        self.conv2 = _conv3x3(first, middle, dilation)
        self.conv3 = nn.Conv2d(middle, out, 1, bias=False)
        self.shortcut = nn.Conv2d(in_channels, out, 1, stride, bias=False)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """(B, in_channels, H, W) → (B, out, H/stride, W/stride)."""
        active = F.relu(self.norm1(x))
        y = self.conv2(self.dropout(F.relu(self.norm2(self.conv1(active)))))
        y = self.conv3(self.dropout(F.relu(self.norm3(y))))
        return y + self.shortcut(active)  # type: ignore[no-any-return]


class ResNet38(nn.Module):
    """Slices to feature maps at an eighth or a thirty-second of their size.

    With the two-class, bias-free head (``CAMClassifier``) it has 105.08 M parameters; at 256² it costs 65 GMAC
    (stride 32: an 8×8 map, the paper's figure) or 130 GMAC (stride 8, dilated: a 32×32 map).

    Args:
        width: factor on all channel counts.
        dropout: in B6 and B7.

    >>> import torch
    >>> ResNet38(width=1 / 64)(torch.zeros(1, 1, 256, 256)).shape
    torch.Size([1, 64, 8, 8])
    """

    def __init__(
        self,
        in_channels: int = 1,
        width: float = 1.0,
        output_stride: Literal[8, 32] = 32,
        dropout: tuple[float, float] = (0.3, 0.5),
    ) -> None:
        super().__init__()
        dilated = output_stride == 8
        channels = _scaled(64, width)
        self.conv1 = _conv3x3(in_channels, channels)
        blocks: list[nn.Module] = []
        for i, (units, middle, out) in enumerate(PLAIN_BLOCKS):
            last = i == len(PLAIN_BLOCKS) - 1  # B5, dilated instead of strided
            for unit in range(units):
                stride = 2 if unit == 0 and not (last and dilated) else 1
                dilations = ((1, 2) if unit == 0 else (2, 2)) if last and dilated else (1, 1)
                blocks.append(PlainUnit(channels, _scaled(middle, width), _scaled(out, width), stride, dilations))
                channels = _scaled(out, width)
        for i, (first, middle, out) in enumerate(BOTTLENECK_BLOCKS):
            widths = _scaled(first, width), _scaled(middle, width), _scaled(out, width)
            stride = 2 if i == 0 and not dilated else 1
            blocks.append(BottleneckUnit(channels, widths, stride, 4 if dilated else 1, dropout[i]))
            channels = widths[2]
        self.blocks = nn.Sequential(*blocks)
        self.norm = nn.BatchNorm2d(channels)
        self.out_channels = channels

    def forward(self, x: Tensor) -> Tensor:
        """(B, in_channels, S, S) → (B, out_channels, S/output_stride, S/output_stride), not negative."""
        return F.relu(self.norm(self.blocks(self.conv1(x))))


def _conv3x3(in_channels: int, out_channels: int, dilation: int = 1, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(in_channels, out_channels, 3, stride, padding=dilation, dilation=dilation, bias=False)


def _scaled(channels: int, width: float) -> int:
    return max(1, round(channels * width))
