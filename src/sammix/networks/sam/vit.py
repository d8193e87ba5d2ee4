"""SAM's ViT image encoder (Kirillov et al. 2023), from transformers, split where training begins."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from transformers.models.sam.configuration_sam import SamVisionConfig
from transformers.models.sam.modeling_sam import SamVisionEncoder


class SamViT(nn.Module):
    """One-channel slices to an embedding at a sixteenth of their size.

    Args:
        config: transformers' description of the network, image size included.
        lora_blocks: how many of the last blocks a gradient reaches. What lies before them is
            ``frozen_features``, the rest ``embedding``.
    """

    stride = 16
    mean: Tensor
    std: Tensor

    def __init__(self, config: SamVisionConfig, lora_blocks: int) -> None:
        super().__init__()
        if not 0 <= lora_blocks <= config.num_hidden_layers:
            raise ValueError(f"the encoder has {config.num_hidden_layers} blocks, not {lora_blocks}")
        self.frozen_blocks = config.num_hidden_layers - lora_blocks
        encoder = SamVisionEncoder(config)
        assert encoder.pos_embed is not None  # config.use_abs_pos, as in every SAM
        self.patch_embed, self.pos_embed = encoder.patch_embed, encoder.pos_embed
        self.layers, self.neck = encoder.layers, encoder.neck
        # ImageNet's colour statistics in gray levels 0 to 255, with which SAM was trained
        self.register_buffer("mean", torch.tensor([123.675, 116.28, 103.53]).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor([58.395, 57.12, 57.375]).view(3, 1, 1), persistent=False)
        self.requires_grad_(False)

    @property
    def trainable_part(self) -> nn.ModuleList:
        """The blocks that LoRA adapts."""
        return self.layers[self.frozen_blocks :]

    def cast_frozen(self, dtype: torch.dtype) -> None:
        """Hold the part before the blocks with LoRA, and its features, in ``dtype`` (bfloat16: half the cost)."""
        self.patch_embed.to(dtype)
        self.pos_embed.data = self.pos_embed.data.to(dtype)
        self.layers[: self.frozen_blocks].to(dtype)

    @torch.no_grad()
    def frozen_features(self, images: Tensor) -> Tensor:
        """(B, 1, S, S) in [0, 1] → (B, C, S/16, S/16), in the dtype of the frozen weights; no gradient."""
        x: Tensor = (255 * images - self.mean) / self.std
        x = self.patch_embed(x.to(self.pos_embed.dtype)) + self.pos_embed
        for layer in self.layers[: self.frozen_blocks]:
            x = layer(x)
        return x.movedim(-1, 1)

    def embedding(self, features: Tensor) -> Tensor:
        """What ``frozen_features`` gave → (B, 256, S/16, S/16) float32."""
        x = features.movedim(1, -1).to(self.neck.conv1.weight.dtype)
        for layer in self.layers[self.frozen_blocks :]:
            x = layer(x)
        y: Tensor = self.neck(x)
        return y.float()

    def forward(self, images: Tensor) -> Tensor:
        """(B, 1, S, S) in [0, 1], S the size in ``config`` → (B, 256, S/16, S/16) float32."""
        return self.embedding(self.frozen_features(images))
