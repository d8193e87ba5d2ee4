"""What it saves that the encoder's linear layers add their bias within the product: CPU-seconds, turn about.

    python benchmarks/linear_layers.py [--threads 1] [--rounds 11]

The encoder of ``liver-ct-lite`` in bfloat16, with the product and with torch's own linear layers. The ratio is the
median over the rounds.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from unittest.mock import patch

import torch
from torch import Tensor

from sammix.models.card import find_model
from sammix.models.saved import load_model
from sammix.networks.sam import linear
from sammix.networks.sam_mix import SAMMix


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=11)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    model = load_model(find_model(Path("liver-ct-lite")), torch.device("cpu"))
    assert isinstance(model, SAMMix)
    encoder = model.sam.image_encoder
    images = torch.rand(4, 1, 256, 256, generator=torch.Generator().manual_seed(0))
    product = linear._product
    ways = {"torch's own": lambda: None, "the product": product}
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    made: dict[str, Tensor] = {}
    for turn in range(arguments.rounds + 1):
        for name, way in ways.items():
            with patch.object(linear, "_product", way):
                made[name], taken = timed(encoder, images)
            seconds[name] += [taken] if turn else []  # the first warms up
    plain, fused = seconds.values()
    ratio = median(new / old for old, new in zip(plain, fused, strict=True))
    difference = (made["the product"] - made["torch's own"]).abs().max().item()
    print(f"{arguments.threads} threads, torch {torch.__version__}, product found: {product() is not None}")
    print(
        f"CPU s for 4 slices: {median(plain):.2f} and {median(fused):.2f}, ratio {ratio:.3f}, difference {difference}"
    )


@torch.inference_mode()
def timed(encoder: Callable[[Tensor], Tensor], images: Tensor) -> tuple[Tensor, float]:
    """Encode slices; return the embedding and the CPU-seconds that it took."""
    start = time.process_time()
    embedding = encoder(images)
    return embedding, time.process_time() - start


if __name__ == "__main__":
    main()
