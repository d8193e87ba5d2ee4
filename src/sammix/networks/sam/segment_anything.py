"""Segment Anything with an exchangeable image encoder: images and prompts to four masks with scores."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, cast

import torch
from torch import Tensor, nn

from sammix.networks.sam.checkpoint import convert_lite_medsam, convert_sam, load
from sammix.networks.sam.lora import add_lora
from sammix.networks.sam.mask_decoder import MaskDecoder
from sammix.networks.sam.prompt_encoder import PromptEncoder
from sammix.networks.sam.tiny_vit import TinyViT


class ImageEncoder(Protocol):
    """What ``SAM`` asks of an image encoder; it is frozen but for the LoRA in its last part."""

    stride: int
    """Image pixels per embedding pixel."""

    @property
    def trainable_part(self) -> nn.ModuleList:
        """The blocks that LoRA adapts."""

    def cast_frozen(self, dtype: torch.dtype) -> None:
        """Hold the frozen part, and its features, in ``dtype``."""

    def frozen_features(self, images: Tensor) -> Tensor:
        """(B, 1, S, S) in [0, 1] → what the trained part begins from, (B, C, h, w); no gradient, so it may be kept."""

    def embedding(self, features: Tensor) -> Tensor:
        """What ``frozen_features`` gave → (B, D, S/stride, S/stride) float32."""

    def __call__(self, images: Tensor) -> Tensor:
        """Both in one: (B, 1, S, S) in [0, 1] → (B, D, S/stride, S/stride) float32."""


class SAM(nn.Module):
    """Image encoder, prompt encoder and mask decoder.

    The image encoder is frozen but for its adapters; the prompt encoder and the mask decoder are trained, the
    random frequencies of their positional encoding excepted, which SAM never trains.

    >>> sam = build_tiny()
    >>> embedding = sam.image_encoder(torch.rand(2, 1, 64, 64))
    >>> masks, scores = sam.decode(embedding, boxes=torch.tensor([[8.0, 8, 40, 40], [0, 0, 63, 63]]))
    >>> masks.shape, scores.shape
    (torch.Size([2, 4, 64, 64]), torch.Size([2, 4]))
    """

    image_encoder: ImageEncoder

    image_dtype = torch.float32
    """Of the image inside the mask decoder."""

    def __init__(self, image_encoder: ImageEncoder, prompt_encoder: PromptEncoder, mask_decoder: MaskDecoder) -> None:
        super().__init__()
        self.image_encoder = image_encoder
        self.prompt_encoder = prompt_encoder
        self.mask_decoder = mask_decoder

    @property
    def image_size(self) -> int:
        """S, the side of the input grid in px."""
        return self.prompt_encoder.image_size

    @property
    def embedding_size(self) -> int:
        """The side of the embedding; masks, in and out, are four times as large."""
        return self.prompt_encoder.embedding_size

    def cast_frozen(self, dtype: torch.dtype) -> None:
        """Hold the encoder's frozen part, and the image in the mask decoder, in ``dtype``, in training too."""
        self.image_encoder.cast_frozen(dtype)
        self.image_dtype = dtype

    def cast_image(self, dtype: torch.dtype) -> None:
        """Hold the image in ``dtype`` on its whole way, for use without training."""
        cast(nn.Module, self.image_encoder).to(dtype)
        self.image_dtype = dtype

    def decode(
        self, embedding: Tensor, boxes: Tensor | None = None, mask_logits: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Masks of B images with at most one box and one mask prompt each.

        Args:
            embedding: (B, D, h, w) from the image encoder.
            boxes: (B, 4) x1, y1, x2, y2 in px of the S × S input grid.
            mask_logits: (B, 1, 4h, 4w), a first guess; positive is organ.

        Returns:
            Masks as logits (B, 4, 4h, 4w) and predicted IoU (B, 4), float32. Index 0 is the mask for an unambiguous
            prompt, the one LiteMedSAM and MedSAM were trained with; 1 to 3 are SAM's three proposals.
        """
        prompts = self.prompt_encoder
        sparse = None if boxes is None else prompts.boxes(boxes)
        image = embedding + prompts.mask(mask_logits)
        masks, scores = self.mask_decoder(image, prompts.positions(), sparse, self.image_dtype)
        return masks, scores


def build_lite_medsam(state: Mapping[str, Tensor] | None, lora_blocks: int = 1, lora_rank: int = 8) -> SAM:
    """LiteMedSAM at 256 px with LoRA in the last ``lora_blocks`` of its 12 blocks.

    Args:
        state: LiteMedSAM's own checkpoint, or None for random weights.

    Raises:
        WeightsError: the checkpoint is another network's.
    """
    sam = SAM(TinyViT(lora_blocks=lora_blocks), *prompt_and_mask(256, stride=4))
    if state is not None:
        load(sam, convert_lite_medsam(state), "the LiteMedSAM weights")
    add_lora(sam.image_encoder.trainable_part, lora_rank)
    return sam


def build_sam_vit_b(
    state: Mapping[str, Tensor] | None, image_size: int = 1024, lora_blocks: int = 12, lora_rank: int = 8
) -> SAM:
    """SAM ViT-B with LoRA in the last ``lora_blocks`` of its 12 blocks.

    Args:
        state: a checkpoint with official or Hugging Face names (SAM, MedSAM), or None for random weights.
        image_size: a multiple of 16; SAM was trained at 1024, position tables are interpolated to others.

    Raises:
        WeightsError: the checkpoint is another network's.
    """
    from transformers.models.sam.configuration_sam import SamVisionConfig  # seconds, which only this encoder is to cost

    from sammix.networks.sam.vit import SamViT

    # transformers' own initializer_range, 1e-10, would make every output of a random network zero
    config = SamVisionConfig(image_size=image_size, initializer_range=0.02)
    sam = SAM(SamViT(config, lora_blocks), *prompt_and_mask(image_size, stride=16))
    if state is not None:
        load(sam, convert_sam(state), "the SAM ViT-B weights")
    add_lora(sam.image_encoder.trainable_part, lora_rank)
    return sam


def build_tiny(image_size: int = 64, lora_blocks: int = 1, lora_rank: int = 2, seed: int = 0) -> SAM:
    """LiteMedSAM's structure at toy widths, for tests. Its random base is the same for the same ``seed``."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        encoder = TinyViT(
            widths=(8, 8, 16, 16),
            depths=(1, 1, 1, 1),
            heads=(2, 2, 2),
            windows=(7, 7, 7),
            embedding_dim=32,
            lora_blocks=lora_blocks,
        )
        sam = SAM(encoder, *prompt_and_mask(image_size, stride=4, dim=32, mlp_dim=64, heads=4))
    add_lora(sam.image_encoder.trainable_part, lora_rank)
    return sam


def prompt_and_mask(
    image_size: int, stride: int, dim: int = 256, mlp_dim: int = 2048, heads: int = 8
) -> tuple[PromptEncoder, MaskDecoder]:
    """SAM's prompt encoder and mask decoder for an embedding of ``dim`` × (``image_size`` / ``stride``)²."""
    return PromptEncoder(image_size, image_size // stride, dim), MaskDecoder(dim, mlp_dim, heads)
