"""Attention's forward and backward pass on a CPU in bfloat16: torch's fused kernel against plain products, as a ratio.

    python benchmarks/attention.py

The shapes are those of four slices in training: TinyViT's last block, and the mask decoder's two ways.
"""

from __future__ import annotations

import time
from statistics import median

import torch
import torch.nn.functional as F
from torch import Tensor

from sammix.models.devices import trainable_attention

SHAPES = {  # batch, heads, queries, keys, channels a head
    "windows of TinyViT": (400, 10, 49, 49, 32),
    "tokens to image": (4, 8, 7, 4096, 16),
    "image to tokens": (4, 8, 4096, 7, 16),
}
ROUNDS = 9


def seconds(q: Tensor, k: Tensor, v: Tensor) -> float:
    began = time.perf_counter()
    F.scaled_dot_product_attention(q, k, v).float().square().sum().backward()  # type: ignore[no-untyped-call]
    return time.perf_counter() - began


def main() -> None:
    print("| shape | fused, ms | products, ms | ratio |\n|---|---|---|---|")
    for name, (batch, heads, queries, keys, channels) in SHAPES.items():
        q, k, v = (
            torch.randn(batch, heads, count, channels, dtype=torch.bfloat16, requires_grad=True)
            for count in (queries, keys, keys)
        )
        fused, products = [], []
        for _ in range(ROUNDS):  # in turns, since the machine may be busy
            fused.append(seconds(q, k, v))
            with trainable_attention(torch.device("cpu")):
                products.append(seconds(q, k, v))
        slow, fast = median(fused[1:]), median(products[1:])
        print(f"| {name} | {1e3 * slow:.0f} | {1e3 * fast:.0f} | {slow / fast:.1f} |")


if __name__ == "__main__":
    main()
