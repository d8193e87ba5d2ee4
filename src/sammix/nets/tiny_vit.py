"""TinyViT, the image encoder of LiteMedSAM (Wu et al. 2022; Ma et al. 2024), written for speed on CPUs.

All of it is frozen but for LoRA, so batch normalisation is a constant affine map: it is folded into the
convolutions when weights are loaded (``sam_checkpoint.fold_batch_norm``) and does not appear here. Images and
maps are kept with channels last in memory. Wide intermediate maps are never made whole where no gradient is
needed: they are made in strips that fit the processor's cache, with the same result.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

CACHE_ELEMENTS = 1 << 20  # of a wide intermediate strip; 4 MB in float32


class InvertedBottleneck(nn.Module):
    """1×1 expand, GELU, 3×3 depthwise, GELU, 1×1 project; with a residual, a last GELU closes it."""

    def __init__(
        self, in_channels: int, hidden: int, out_channels: int, stride: int = 1, residual: bool = False
    ) -> None:
        super().__init__()
        self.stride, self.residual = stride, residual
        self.expand = nn.Conv2d(in_channels, hidden, 1)
        self.depthwise = nn.Conv2d(hidden, hidden, 3, stride, padding=(0, 1), groups=hidden)
        self.project = nn.Conv2d(hidden, out_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, in_channels, H, W) → (B, out_channels, ⌈H / stride⌉, ⌈W / stride⌉)."""
        rows = (x.shape[2] - 1) // self.stride + 1
        if x.requires_grad:
            return self._strip(x, 0, rows)
        height = max(1, CACHE_ELEMENTS // (x.shape[3] * self.stride * self.expand.out_channels))
        images = [
            torch.cat([self._strip(image, r, min(r + height, rows)) for r in range(0, rows, height)], dim=2)
            for image in x[:, None]
        ]
        return torch.cat(images)

    def _strip(self, x: Tensor, first: int, last: int) -> Tensor:
        """Rows ``first`` to ``last`` (excluded) of the output, from the input rows that they depend on."""
        top, bottom = first * self.stride - 1, (last - 1) * self.stride + 2
        hidden = F.gelu(self.expand(x[:, :, max(top, 0) : bottom]))
        above, below = max(-top, 0), max(bottom - x.shape[2], 0)
        if above or below:
            hidden = F.pad(hidden, (0, 0, above, below))
        y: Tensor = self.project(F.gelu(self.depthwise(hidden)))
        return F.gelu(y + x[:, :, first:last]) if self.residual else y


class WindowAttention(nn.Module):
    """Multi-head attention inside windows of ``window``² tokens, with a learned bias per distance and head.

    The map is padded with zeros to whole windows, as in training; the padded tokens, all alike after the
    normalisation, are projected once.
    """

    def __init__(self, dim: int, heads: int, window: int) -> None:
        super().__init__()
        self.heads, self.window = heads, window
        self.norm = nn.LayerNorm(dim)
        self.qkv = nn.Linear(dim, 3 * dim)  # rows: all of q, all of k, all of v
        self.proj = nn.Linear(dim, dim)
        self.bias_table = nn.Parameter(torch.zeros(heads, window * window))  # by |dy| · window + |dx|
        y, x = torch.arange(window * window) // window, torch.arange(window * window) % window
        distance = (y[:, None] - y).abs() * window + (x[:, None] - x).abs()
        self.distance: Tensor
        self.register_buffer("distance", distance, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, H, W, dim) → (B, H, W, dim)."""
        batch, height, width, dim = x.shape
        size = self.window
        down, right = -height % size, -width % size
        qkv = self.qkv(self.norm(x))
        if down or right:
            padded = self.qkv(self.norm.bias).expand(batch, height + down, width + right, -1).clone()
            padded[:, :height, :width] = qkv
            qkv = padded
        grid = (batch, (height + down) // size, size, (width + right) // size, size)
        windows = qkv.view(*grid, 3, self.heads, -1).permute(5, 0, 1, 3, 6, 2, 4, 7)
        q, k, v = windows.reshape(3, -1, self.heads, size * size, dim // self.heads)
        bias = self.bias_table[None, :, self.distance]
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=bias.to(q.dtype))
        mixed = mixed.view(batch, grid[1], grid[3], self.heads, size, size, -1).permute(0, 1, 4, 2, 5, 3, 6)
        mixed = mixed.reshape(batch, height + down, width + right, dim)
        y: Tensor = self.proj(mixed[:, :height, :width])
        return y


class Mlp(nn.Module):
    """Normalise, widen four times, GELU, narrow."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.fc1 = nn.Linear(dim, 4 * dim)
        self.fc2 = nn.Linear(4 * dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        """(…, dim) → (…, dim)."""
        y: Tensor = self.fc2(F.gelu(self.fc1(self.norm(x))))
        return y


class Block(nn.Module):
    """Window attention, a 3×3 depthwise convolution, an MLP."""

    def __init__(self, dim: int, heads: int, window: int) -> None:
        super().__init__()
        self.attn = WindowAttention(dim, heads, window)
        self.local_conv = nn.Conv2d(dim, dim, 3, padding=1, groups=dim)
        self.mlp = Mlp(dim)

    def forward(self, x: Tensor) -> Tensor:
        """(B, H, W, dim) → (B, H, W, dim)."""
        x = x + self.attn(x)
        x = self.local_conv(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        chunk = x[0].numel() if x.requires_grad else max(1, CACHE_ELEMENTS // self.mlp.fc1.out_features)
        tokens = x.reshape(-1, x.shape[-1])
        return torch.cat([part + self.mlp(part) for part in torch.split(tokens, chunk)]).view_as(x)


class ConvStage(nn.Module):
    """Stage 0, all convolutions, and the step down to the next stage."""

    def __init__(self, dim: int, depth: int, out_dim: int) -> None:
        super().__init__()
        self.blocks = nn.Sequential(*(InvertedBottleneck(dim, 4 * dim, dim, residual=True) for _ in range(depth)))
        self.downsample = InvertedBottleneck(dim, out_dim, out_dim, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        """(B, dim, H, W) → (B, out_dim, H/2, W/2)."""
        y: Tensor = self.downsample(self.blocks(x))
        return y


class AttentionStage(nn.Module):
    """Stages 1 to 3; ``downsample`` leads to the next stage."""

    def __init__(self, dim: int, depth: int, heads: int, window: int, downsample: nn.Module) -> None:
        super().__init__()
        self.blocks = nn.Sequential(*(Block(dim, heads, window) for _ in range(depth)))
        self.downsample = downsample

    def forward(self, x: Tensor) -> Tensor:
        """(B, dim, H, W) → whatever ``downsample`` makes of (B, dim, H, W)."""
        y: Tensor = self.downsample(self.blocks(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2))
        return y


class Neck(nn.Module):
    """1×1 and 3×3 convolution, each normalised over channels."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, out_channels, 1, bias=False)
        self.norm1 = nn.LayerNorm(out_channels, eps=1e-6)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False)
        self.norm2 = nn.LayerNorm(out_channels, eps=1e-6)

    def forward(self, x: Tensor) -> Tensor:
        """(B, in_channels, h, w) → (B, out_channels, h, w)."""
        x = self.norm1(self.conv1(x).permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        y: Tensor = self.norm2(self.conv2(x).permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        return y


class TinyViT(nn.Module):
    """LiteMedSAM's image encoder: one-channel slices to an embedding at a quarter of their size.

    Args:
        widths: channels of the four stages.
        depths: blocks of the four stages.
        heads, windows: of the stages 1 to 3 (stage 0 is convolutional).
        embedding_dim: channels of the embedding.
        trainable_from: the first stage (0 to 3) that a gradient reaches; 4: none. What lies before it is
            ``frozen_features``, the rest ``embedding``.
    """

    stride = 4

    def __init__(
        self,
        widths: Sequence[int] = (64, 128, 160, 320),
        depths: Sequence[int] = (2, 2, 6, 2),
        heads: Sequence[int] = (4, 5, 10),
        windows: Sequence[int] = (7, 14, 7),
        embedding_dim: int = 256,
        trainable_from: int = 3,
    ) -> None:
        super().__init__()
        if not 0 <= trainable_from <= 4:
            raise ValueError(f"trainable_from is a stage, 0 to 4, not {trainable_from}")
        self.trainable_from = trainable_from
        self.patch_embed = nn.Sequential(
            nn.Conv2d(3, widths[0] // 2, 1), nn.GELU(), nn.Conv2d(widths[0] // 2, widths[0], 1)
        )
        self.stages = nn.ModuleList([ConvStage(widths[0], depths[0], widths[1])])
        steps: tuple[nn.Module, ...] = (
            InvertedBottleneck(widths[1], widths[2], widths[2], stride=2),
            InvertedBottleneck(widths[2], widths[3], widths[3], stride=1),
            nn.Identity(),
        )
        for i, step in enumerate(steps):
            self.stages.append(AttentionStage(widths[i + 1], depths[i + 1], heads[i], windows[i], step))
        self.neck = Neck(widths[3], embedding_dim)
        self.requires_grad_(False)
        for parameter in self.parameters():
            if parameter.ndim == 4:
                parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)

    @property
    def trainable_part(self) -> nn.ModuleList:
        """The stages that LoRA adapts."""
        return self.stages[self.trainable_from :]

    def cast_frozen(self, dtype: torch.dtype) -> None:
        """Hold the part before ``trainable_from``, and its features, in ``dtype`` (bfloat16: half the cost)."""
        self.patch_embed.to(dtype)
        self.stages[: self.trainable_from].to(dtype)

    @torch.no_grad()
    def frozen_features(self, images: Tensor) -> Tensor:
        """(B, 1, S, S) in [0, 1] → (B, C, h, w), in the dtype of the frozen weights; no gradient."""
        rgb = images.expand(-1, 3, -1, -1).to(next(self.patch_embed.parameters()).dtype)
        x: Tensor = self.patch_embed(rgb.contiguous(memory_format=torch.channels_last))
        for stage in self.stages[: self.trainable_from]:
            x = stage(x)
        return x

    def embedding(self, features: Tensor) -> Tensor:
        """What ``frozen_features`` gave → (B, embedding_dim, S/4, S/4) float32."""
        x = features.to(self.neck.conv1.weight.dtype).contiguous(memory_format=torch.channels_last)
        for stage in self.stages[self.trainable_from :]:
            x = stage(x)
        y: Tensor = self.neck(x)
        return y.float()

    def forward(self, images: Tensor) -> Tensor:
        """(B, 1, S, S) in [0, 1], S a multiple of 4 → (B, embedding_dim, S/4, S/4) float32."""
        return self.embedding(self.frozen_features(images))
