"""Where to compute, and in which precision."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from sammix.errors import ConfigError
from sammix.networks.network import Network
from sammix.networks.sam_mix import SAMMix


def pick_device(name: str = "auto") -> torch.device:
    """``auto`` takes CUDA, then Apple's MPS, then the CPU.

    Raises:
        ConfigError: the device is not there.
    """
    have = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        return torch.device(next(kind for kind in have if have[kind]))
    if not have.get(name.split(":")[0], False):
        raise ConfigError(
            f"device '{name}' is not available here; there are: auto, {', '.join(k for k in have if have[k])}"
        )
    return torch.device(name)


def bfloat16_pays(device: torch.device) -> bool:
    """Whether the hardware multiplies in bfloat16; elsewhere it would be emulated, slowly."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return device.type == "cpu" and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def fabric_precision(setting: str, device: str) -> Any:
    """Fabric's precision for a setting; ``auto`` is mixed bfloat16 where it pays, else float32."""
    if setting != "auto":
        return setting
    return "bf16-mixed" if bfloat16_pays(pick_device(device)) else "32-true"


@contextmanager
def trainable_attention(device: torch.device) -> Iterator[None]:
    """On a CPU, attention as plain products, in bfloat16 where the rest is.

    Forward and back, torch's fused kernel for CPUs takes two to three times as long there (benchmarks/attention.py).
    """
    if device.type != "cpu":
        yield
        return
    allowed: Any = torch.backends.cuda.fp16_bf16_reduction_math_sdp_allowed  # not for CUDA alone, in spite of its name
    before = allowed()
    torch.backends.cuda.allow_fp16_bf16_reduction_math_sdp(True)
    try:
        with sdpa_kernel(SDPBackend.MATH):
            yield
    finally:
        torch.backends.cuda.allow_fp16_bf16_reduction_math_sdp(before)


def prepare_for_training(model: Network, device: torch.device) -> Network:
    """On a device, the frozen stages in bfloat16 where that pays; what is trained stays in float32."""
    model = model.to(device)
    if isinstance(model, SAMMix) and bfloat16_pays(device):
        model.sam.image_encoder.cast_frozen(torch.bfloat16)
    return model


def prepare_for_inference(model: Network, device: torch.device | None = None) -> Network:
    """Evaluation mode on a device, the image encoder in bfloat16 where that pays."""
    device = device or pick_device()
    model = model.to(device).eval()
    if isinstance(model, SAMMix) and bfloat16_pays(device):
        cast(nn.Module, model.sam.image_encoder).to(torch.bfloat16)
    return model
