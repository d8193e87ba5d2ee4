"""SAM's prompt encoder (Kirillov et al. 2023): a box and a mask as embeddings.

Parameters have the names of Hugging Face's ``SamPromptEncoder``, those of points included, which no one here prompts
with: so its checkpoints load.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class PositionEncoding(nn.Module):
    """Sines and cosines of random frequencies (Tancik et al. 2020); SAM never trains these.

    Args:
        dim: of the encoding; half of it are sines.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.positional_embedding = nn.Parameter(torch.randn(2, dim // 2), requires_grad=False)

    def forward(self, xy: Tensor) -> Tensor:
        """Encode places (…, 2) in [0, 1], x first, as (…, dim)."""
        frequencies = self.positional_embedding
        phases = 2 * math.pi * ((2 * xy - 1).to(frequencies.dtype) @ frequencies)
        return torch.cat([phases.sin(), phases.cos()], dim=-1)


class MaskEmbedding(nn.Module):
    """A mask's logits at four times the embedding's side → a map to be added to the embedding.

    Convolutions that never overlap are linear layers of the pixels that each sees.
    """

    def __init__(self, dim: int, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, channels // 4, kernel_size=2, stride=2)
        self.conv2 = nn.Conv2d(channels // 4, channels, kernel_size=2, stride=2)
        self.conv3 = nn.Conv2d(channels, dim, kernel_size=1)
        self.layer_norm1 = nn.LayerNorm(channels // 4, eps=1e-6)
        self.layer_norm2 = nn.LayerNorm(channels, eps=1e-6)

    def forward(self, masks: Tensor) -> Tensor:
        """(B, 1, 4h, 4w) → (B, dim, h, w)."""
        batch, _, height, width = masks.shape
        pixels = masks.view(batch, height // 4, 2, 2, width // 4, 2, 2).permute(0, 1, 4, 2, 5, 3, 6)
        x = F.linear(pixels.flatten(5), self.conv1.weight.flatten(1), self.conv1.bias)
        x = F.gelu(self.layer_norm1(x)).flatten(3)  # quarter by quarter
        x = F.linear(x, self.conv2.weight.permute(0, 2, 3, 1).flatten(1), self.conv2.bias)
        x = F.linear(F.gelu(self.layer_norm2(x)), self.conv3.weight.flatten(1), self.conv3.bias)
        return x.permute(0, 3, 1, 2)


class PromptEncoder(nn.Module):
    """At most one box and one mask an image.

    Args:
        image_size: side of the input grid in px.
        embedding_size: side of the image embedding.
        dim: its channels.
        mask_channels: inside the mask's embedding.
    """

    def __init__(self, image_size: int, embedding_size: int, dim: int = 256, mask_channels: int = 16) -> None:
        super().__init__()
        self.image_size, self.embedding_size = image_size, embedding_size
        self.shared_embedding = PositionEncoding(dim)
        self.mask_embed = MaskEmbedding(dim, mask_channels)
        self.no_mask_embed = nn.Embedding(1, dim)
        self.point_embed = nn.ModuleList(nn.Embedding(1, dim) for _ in range(4))  # no, yes, and a box's two corners
        self.not_a_point_embed = nn.Embedding(1, dim)

    def boxes(self, boxes: Tensor) -> Tensor:
        """(B, 4) x1, y1, x2, y2 in px of the input grid → their corners' embeddings (B, 2, dim)."""
        corners = ((boxes + 0.5) / self.image_size).view(-1, 2, 2)
        kinds = torch.cat([corner.weight for corner in list(self.point_embed)[2:]])  # type: ignore[misc]
        embedded: Tensor = self.shared_embedding(corners)
        return embedded + kinds

    def mask(self, logits: Tensor | None) -> Tensor:
        """Logits (B, 1, 4h, 4w), positive inside, or None → what is added to the embedding, (B or 1, dim, h, w)."""
        if logits is None:
            return self.no_mask_embed.weight[:, :, None, None].expand(-1, -1, self.embedding_size, self.embedding_size)
        embedded: Tensor = self.mask_embed(logits)
        return embedded

    def positions(self) -> Tensor:
        """Encode the places of the embedding's grid, (1, dim, h, w)."""
        frequencies = self.shared_embedding.positional_embedding
        side = self.embedding_size
        centres = (torch.arange(side, device=frequencies.device, dtype=frequencies.dtype) + 0.5) / side
        y, x = torch.meshgrid(centres, centres, indexing="ij")
        encoded: Tensor = self.shared_embedding(torch.stack((x, y), dim=-1))
        return encoded.permute(2, 0, 1)[None]
