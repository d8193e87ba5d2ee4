"""Seconds a slice of LiteMedSAM's image encoder on this CPU: the authors' module and ours, turn about.

    python benchmarks/encoder_speed.py [--threads N] [--slices 4] [--rounds 5]

Each round runs every variant once, so that a busy machine slows all of them; the fastest round of each counts.
Needs the weights (``sammix weights fetch lite-medsam``) and, once, the network for the authors' package.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import torch
from original_lite_medsam import load_original
from torch import Tensor

from sammix.models import pretrained
from sammix.networks.sam.segment_anything import build_lite_medsam


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--slices", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    images = torch.rand(options.slices, 1, 256, 256, generator=torch.Generator().manual_seed(0))
    variants = encoders()
    seconds: dict[str, list[float]] = {name: [] for name in variants}
    outputs: dict[str, Tensor] = {}
    with torch.inference_mode():
        for _ in range(options.rounds):
            for name, encode in variants.items():
                begin = time.perf_counter()
                outputs[name] = encode(images).float()
                seconds[name].append((time.perf_counter() - begin) / options.slices)
    report(seconds, outputs, options.threads)


def encoders() -> dict[str, Callable[[Tensor], Tensor]]:
    state = pretrained.load_state("lite-medsam")
    original = load_original(pretrained.weights_dir())
    original.load_state_dict(state)
    theirs = original.eval().image_encoder
    ours, half = (build_lite_medsam(state, lora_blocks=0).image_encoder for _ in range(2))
    half.cast_frozen(torch.bfloat16)
    return {
        "the authors', float32": lambda images: theirs(images.repeat(1, 3, 1, 1)),
        "ours, float32": ours,
        "ours, bfloat16": half,
    }


def report(seconds: dict[str, list[float]], outputs: dict[str, Tensor], threads: int) -> None:
    reference = next(iter(seconds))
    slowest, exact = min(seconds[reference]), outputs[reference]
    print(f"{threads} threads, torch {torch.__version__}, {torch.backends.cpu.get_cpu_capability()}")
    print(f"{'':20}{'s/slice':>9}{'times as fast':>15}{'largest difference':>20}")
    for name, times in seconds.items():
        fastest = min(times)
        difference = (outputs[name] - exact).abs().max().item()
        print(f"{name:20}{fastest:9.3f}{slowest / fastest:15.1f}{difference:20.1e}")


if __name__ == "__main__":
    main()
