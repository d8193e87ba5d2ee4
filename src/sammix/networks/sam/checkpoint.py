"""Read SAM's weights under every name they go by: official, Hugging Face, LiteMedSAM.

The network's own parameter names are Hugging Face's for the ViT, prompt encoder and mask decoder (with
``image_encoder.`` for ``vision_encoder.``), and ``tiny_vit``'s for LiteMedSAM's encoder.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import torch.nn.functional as F
from torch import Tensor, nn

from sammix.errors import WeightsError

State = dict[str, Tensor]
Rules = tuple[tuple[str, str], ...]

# Official name → ours, by regular expression; every rule is tried on every name.
PROMPT_RULES: Rules = (
    (r"pe_layer\.positional_encoding_gaussian_matrix$", "shared_embedding.positional_embedding"),
    (r"point_embeddings\.", "point_embed."),
    (r"mask_downscaling\.0\.", "mask_embed.conv1."),
    (r"mask_downscaling\.1\.", "mask_embed.layer_norm1."),
    (r"mask_downscaling\.3\.", "mask_embed.conv2."),
    (r"mask_downscaling\.4\.", "mask_embed.layer_norm2."),
    (r"mask_downscaling\.6\.", "mask_embed.conv3."),
)
DECODER_RULES: Rules = (
    (r"output_upscaling\.0\.", "upscale_conv1."),
    (r"output_upscaling\.1\.", "upscale_layer_norm."),
    (r"output_upscaling\.3\.", "upscale_conv2."),
    (r"\.norm(\d|_final_attn)\.", r".layer_norm\1."),
    (r"(mlps\.\d+|head)\.layers\.0\.", r"\1.proj_in."),
    (r"(mlps\.\d+|head)\.layers\.1\.", r"\1.layers.0."),
    (r"(mlps\.\d+|head)\.layers\.2\.", r"\1.proj_out."),
)
VIT_RULES: Rules = (
    (r"patch_embed\.proj\.", "patch_embed.projection."),
    (r"^image_encoder\.blocks\.", "image_encoder.layers."),
    (r"\.norm(\d)\.", r".layer_norm\1."),
    (r"neck\.0\.", "neck.conv1."),
    (r"neck\.1\.", "neck.layer_norm1."),
    (r"neck\.2\.", "neck.conv2."),
    (r"neck\.3\.", "neck.layer_norm2."),
)
TINY_VIT_RULES: Rules = (
    (r"patch_embed\.seq\.", "patch_embed."),
    (r"^image_encoder\.layers\.", "image_encoder.stages."),
    (r"(blocks\.\d+|downsample)\.conv1\.", r"\1.expand."),
    (r"(blocks\.\d+|downsample)\.conv2\.", r"\1.depthwise."),
    (r"(blocks\.\d+|downsample)\.conv3\.", r"\1.project."),
    (r"attn\.attention_biases$", "attn.bias_table"),
    (r"neck\.0\.", "neck.conv1."),
    (r"neck\.1\.", "neck.norm1."),
    (r"neck\.2\.", "neck.conv2."),
    (r"neck\.3\.", "neck.norm2."),
)


def convert_lite_medsam(state: Mapping[str, Tensor], heads: Iterable[int] = (4, 5, 10)) -> State:
    """LiteMedSAM's names → ours: batch norms folded, q, k and v sorted out of their heads.

    Args:
        heads: of the stages 1 to 3.
    """
    converted = _fold_all(_rename_parts(state, TINY_VIT_RULES))
    for stage, count in enumerate(heads, start=1):
        pattern = re.compile(rf"image_encoder\.stages\.{stage}\..*\.qkv\.(weight|bias)$")
        for name in filter(pattern.match, list(converted)):
            converted[name] = _heads_last(converted[name], count)
    pointwise = re.compile(r"image_encoder\.(.*\.(expand|project)|patch_embed\.\d|neck\.conv1)\.weight$")
    return {name: t.flatten(1) if pointwise.match(name) else t for name, t in converted.items()}


def convert_sam(state: Mapping[str, Tensor]) -> State:
    """Official SAM or MedSAM names, or Hugging Face's, → ours. Tables keep their size; ``load`` fits them."""
    if not any(name.startswith("vision_encoder.") for name in state):
        return _rename_parts(state, VIT_RULES)
    converted = {re.sub(r"^vision_encoder\.", "image_encoder.", name): tensor for name, tensor in state.items()}
    shared = converted.pop("shared_image_embedding.positional_embedding", None)
    if shared is not None:  # tied to the prompt encoder's, which a file may leave out
        converted.setdefault("prompt_encoder.shared_embedding.positional_embedding", shared)
    return converted


def load(network: nn.Module, state: Mapping[str, Tensor], source: str) -> None:
    """Load converted weights into ``network``, its position tables resized to the network's image size.

    Args:
        source: what the weights are called, for the message.

    Raises:
        WeightsError: a parameter is missing, is not the network's, or has another shape.
    """
    own = network.state_dict()
    fitted = {name: _fit_table(name, tensor, own[name]) if name in own else tensor for name, tensor in state.items()}
    missing, foreign = sorted(own.keys() - fitted.keys()), sorted(fitted.keys() - own.keys())
    odd = [name for name in own.keys() & fitted.keys() if own[name].shape != fitted[name].shape]
    for names, problem in ((missing, "lack"), (foreign, "have a foreign"), (odd, "have another shape of")):
        if names:
            more = f" and {len(names) - 1} more" if len(names) > 1 else ""
            raise WeightsError(f"{source} {problem} {names[0]}{more}; they are another network's weights")
    network.load_state_dict(fitted)


def fold_batch_norm(weight: Tensor, bn: Mapping[str, Tensor], eps: float = 1e-5) -> tuple[Tensor, Tensor]:
    """A bias-free convolution's weight and the batch norm after it → weight and bias of one convolution.

    Args:
        weight: (out, in, kh, kw).
        bn: ``weight``, ``bias``, ``running_mean``, ``running_var`` of shape (out,).
    """
    scale = bn["weight"].double() / (bn["running_var"].double() + eps).sqrt()
    bias = bn["bias"].double() - bn["running_mean"].double() * scale
    return (weight.double() * scale[:, None, None, None]).to(weight.dtype), bias.to(weight.dtype)


def _rename_parts(state: Mapping[str, Tensor], encoder: Rules) -> State:
    parts = {"image_encoder.": encoder, "prompt_encoder.": PROMPT_RULES, "mask_decoder.": DECODER_RULES}
    converted: State = {}
    for name, tensor in state.items():
        new = name
        for pattern, replacement in next((rules for part, rules in parts.items() if name.startswith(part)), ()):
            new = re.sub(pattern, replacement, new)
        converted[new] = tensor
    return converted


def _fold_all(state: State) -> State:
    """Every ``X.c.weight`` with its ``X.bn.*`` → ``X.weight`` and ``X.bias``."""
    folded = {name: tensor for name, tensor in state.items() if not re.search(r"\.(c|bn)\.\w+$", name)}
    for name in state:
        if name.endswith(".c.weight"):
            conv = name.removesuffix(".c.weight")
            keys = ("weight", "bias", "running_mean", "running_var")
            try:
                bn = {key: state[f"{conv}.bn.{key}"] for key in keys}
            except KeyError as error:
                raise WeightsError(f"LiteMedSAM's weights lack {error.args[0]}; bring the official file") from error
            folded[f"{conv}.weight"], folded[f"{conv}.bias"] = fold_batch_norm(state[name], bn)
    return folded


def _heads_last(rows: Tensor, heads: int) -> Tensor:
    """Rows ordered (head, qkv, channel) → (qkv, head, channel)."""
    return rows.view(heads, 3, -1, *rows.shape[1:]).transpose(0, 1).reshape(rows.shape)


def _fit_table(name: str, table: Tensor, own: Tensor) -> Tensor:
    """A position table at the network's size: absolute ones bicubic, relative ones linear."""
    if table.shape == own.shape or table.ndim != own.ndim:
        return table
    if name.endswith("pos_embed"):
        grid = F.interpolate(
            table.permute(0, 3, 1, 2), own.shape[1:3], mode="bicubic", align_corners=False, antialias=True
        )
        return grid.permute(0, 2, 3, 1)
    if re.search(r"rel_pos_[hw]$", name):
        return F.interpolate(table.T[None], own.shape[0], mode="linear", align_corners=False)[0].T
    return table
