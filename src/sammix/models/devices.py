"""Where to compute, and in which precision."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from sammix.errors import ConfigError
from sammix.networks.interface import Network


def pick_device(name: str = "auto") -> torch.device:
    """``auto`` takes CUDA, then Apple's MPS, then the CPU; ``cuda:1`` is the second GPU.

    Raises:
        ConfigError: the device is not there.
    """
    have = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        return torch.device(next(kind for kind in have if have[kind]))
    kind, _, number = name.partition(":")
    if not have.get(kind, False) or (number and not number.isdigit()):
        known = ", ".join(kind for kind in have if have[kind])
        raise ConfigError(f"device '{name}' is not available here; there are: auto, {known}")
    count = torch.cuda.device_count() if kind == "cuda" else 1
    if number and int(number) >= count:
        raise ConfigError(f"device '{name}' is not available here; of {kind} there are {count}, counted from 0")
    return torch.device(name)


def bfloat16_pays(device: torch.device) -> bool:
    """Whether the hardware multiplies in bfloat16; elsewhere it would be emulated, slowly."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return device.type == "cpu" and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def training_precision(setting: str, device: torch.device) -> Any:
    """Fabric's precision for a setting; ``auto`` is mixed bfloat16 where it pays, else float32."""
    if setting != "auto":
        return setting
    return "bf16-mixed" if bfloat16_pays(device) else "32-true"


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


def frozen_dtype(precision: str, device: torch.device) -> torch.dtype:
    """Of the stages that training does not change: bfloat16 where that was asked for and pays, else float32."""
    return torch.bfloat16 if precision == "bf16-mixed" and bfloat16_pays(device) else torch.float32


def prepare_for_inference(network: Network, device: torch.device | None = None) -> Network:
    """Evaluation mode on a device, the costly part in bfloat16 where that pays."""
    device = device or pick_device()
    network = network.to(device).eval()
    if bfloat16_pays(device):
        network.cast_encoder(torch.bfloat16)
    return network
