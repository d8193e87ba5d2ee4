"""Segment Anything with an exchangeable image encoder: images and prompts to four masks with scores."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import torch
from torch import Tensor, nn
from transformers.models.sam.configuration_sam import (
    SamConfig,
    SamMaskDecoderConfig,
    SamPromptEncoderConfig,
    SamVisionConfig,
)
from transformers.models.sam.modeling_sam import SamMaskDecoder, SamPromptEncoder

from sammix.networks.sam.checkpoint import convert_lite_medsam, convert_sam, load
from sammix.networks.sam.lora import add_lora
from sammix.networks.sam.tiny_vit import TinyViT
from sammix.networks.sam.vit import SamViT


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

    def __init__(
        self, image_encoder: ImageEncoder, prompt_encoder: SamPromptEncoder, mask_decoder: SamMaskDecoder
    ) -> None:
        super().__init__()
        self.image_encoder = image_encoder
        self.prompt_encoder = prompt_encoder
        self.mask_decoder = mask_decoder
        prompt_encoder.shared_embedding.requires_grad_(False)

    @property
    def image_size(self) -> int:
        """S, the side of the input grid in px."""
        return int(self.prompt_encoder.input_image_size)

    @property
    def embedding_size(self) -> int:
        """The side of the embedding; masks, in and out, are four times as large."""
        return int(self.prompt_encoder.image_embedding_size[0])

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
        sparse, dense = self.prompt_encoder(
            input_points=None,
            input_labels=None,
            input_boxes=None if boxes is None else boxes[:, None],
            input_masks=mask_logits,
        )
        return _decode_all(self.mask_decoder, embedding + dense, self._positions(), sparse)

    def _positions(self) -> Tensor:
        """The positional encoding of the embedding's grid, (1, D, h, w)."""
        frequencies = self.prompt_encoder.shared_embedding.positional_embedding
        side = self.embedding_size
        centres = (torch.arange(side, device=frequencies.device, dtype=frequencies.dtype) + 0.5) / side
        y, x = torch.meshgrid(centres, centres, indexing="ij")
        encoded: Tensor = self.prompt_encoder.shared_embedding(torch.stack((x, y), dim=-1))
        return encoded.permute(2, 0, 1)[None]


def _decode_all(
    decoder: SamMaskDecoder, embedding: Tensor, positions: Tensor, sparse: Tensor | None
) -> tuple[Tensor, Tensor]:
    """The decoder's forward, giving all four masks: transformers' own gives either the first or the others.

    Args:
        embedding: (B, D, h, w) with the dense prompt added.
        positions: (1, D, h, w).
        sparse: (B, 1, N, D) or None.
    """
    batch, _, height, width = embedding.shape
    tokens = torch.cat((decoder.iou_token.weight, decoder.mask_tokens.weight)).expand(batch, 1, -1, -1)
    if sparse is not None:
        tokens = torch.cat((tokens, sparse), dim=2)
    tokens, image = decoder.transformer(
        point_embeddings=tokens,
        image_embeddings=embedding,
        image_positional_embeddings=positions,
        attention_similarity=None,
    )
    image = image[:, 0].transpose(1, 2).unflatten(2, (height, width))
    image = decoder.activation(decoder.upscale_layer_norm(decoder.upscale_conv1(image)))
    image = decoder.activation(decoder.upscale_conv2(image))
    mask_tokens = tokens[:, 0, 1 : 1 + decoder.num_mask_tokens].unbind(1)
    mixtures = [mlp(token) for mlp, token in zip(decoder.output_hypernetworks_mlps, mask_tokens, strict=True)]
    masks = (torch.stack(mixtures, dim=1) @ image.flatten(2)).unflatten(2, image.shape[2:])
    return masks.float(), decoder.iou_prediction_head(tokens[:, 0, 0]).float()


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
) -> tuple[SamPromptEncoder, SamMaskDecoder]:
    """SAM's prompt encoder and mask decoder for an embedding of ``dim`` × (``image_size`` / ``stride``)²."""
    prompt = SamPromptEncoder(
        SamConfig(
            vision_config=SamVisionConfig(num_pos_feats=dim // 2),
            prompt_encoder_config=SamPromptEncoderConfig(
                hidden_size=dim, image_size=image_size, patch_size=stride, mask_input_channels=16
            ),
        )
    )
    nn.init.normal_(prompt.shared_embedding.positional_embedding)  # transformers scales it by hundreds
    config = SamMaskDecoderConfig(
        hidden_size=dim,
        mlp_dim=mlp_dim,
        num_attention_heads=heads,
        iou_head_hidden_dim=dim,
        layer_norm_eps=1e-5,  # the official decoder's; transformers' default is 1e-6
    )
    config._attn_implementation = "sdpa"
    return prompt, SamMaskDecoder(config)
