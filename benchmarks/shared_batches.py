"""How full the batches are that scans share with ``predict --at-once``: what scans ask for, replayed without a network.

    python benchmarks/shared_batches.py [--record SCAN…]

What is replayed was recorded on three real scans, with ``liver-ct-lite`` and ``--batch-size 16``: how many slices each
asked to be encoded, and how many prompts to be decoded, in their order. ``--record`` prints that of other scans.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path
from threading import Lock, Thread
from typing import Any

import torch
from torch import Tensor

from sammix.inference.sharing import SharedSegmenter

SIZE, COPIES = 16, 8
KINDS = ("encode", "decode")
Asked = list[tuple[str, int]]
SCANS: dict[str, Asked] = {
    "chaos-ct-3": [
        *(("encode", 14), ("decode", 15), ("encode", 16), ("decode", 16), ("encode", 8), ("decode", 8)),
        *(("decode", 16), ("decode", 8), ("encode", 3), ("decode", 3), ("decode", 3)),
    ],
    "0697-eqp": [
        *(("encode", 16), ("decode", 24), ("encode", 8), ("decode", 12), ("decode", 23), ("decode", 12)),
    ],
    "1720-eqp": [
        *(("encode", 16), ("decode", 16), ("encode", 15), ("decode", 15), ("decode", 17), ("decode", 15)),
    ],
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--record", type=Path, nargs="+", metavar="SCAN")
    options = parser.parse_args()
    if options.record:
        for scan in options.record:
            print(scan, recorded(scan))
        return
    print("| scans at once | encode: batches, full | decode: batches, full |\n|---|---|---|")
    scans = list(SCANS.values())
    own = [[rows for scan in scans for what, rows in scan if what == kind] for kind in KINDS]
    alone = [f"{COPIES * len(rows)}, of {min(rows)} to {max(rows)}" for rows in own]
    print(f"| each with its own batches | {' | '.join(alone)} |")
    for at_once in (2, 4, 8):
        print(f"| {at_once} | {' | '.join(replayed(scans, at_once))} |")


def count(scans: list[Asked], kind: str) -> int:
    return sum(rows for scan in scans for what, rows in scan if what == kind)


class Counting:
    """In a network's place: counts its batches."""

    name, presence_offset, preprocess = "counting", 0.0, None

    def __init__(self) -> None:
        self.batches = {kind: 0 for kind in KINDS}

    def encode(self, images: Tensor) -> Tensor:
        self.batches["encode"] += 1
        return images

    def segment(self, *_: object) -> None:
        """Not asked for here."""

    def masks(self, embedding: Tensor, maps: Tensor, boxes: Tensor) -> Tensor:
        self.batches["decode"] += 1
        return maps

    def shared(self, masks: Callable[..., Tensor]) -> Decoding:
        return Decoding(masks)


class Decoding:
    """A network that decodes as many prompts as there are maps."""

    def __init__(self, masks: Callable[..., Tensor]) -> None:
        self.masks = masks

    def redraw(self, encoding: None, maps: Tensor) -> Tensor:
        return self.masks(maps, maps, maps)


def replayed(scans: list[Asked], at_once: int) -> list[str]:
    """Go through copies of all scans, so many at once: batches and how full they were, of each kind."""
    network: Any = Counting()
    shared, left, lock = SharedSegmenter(network, SIZE), COPIES * scans, Lock()

    def go_through() -> None:
        while True:
            with lock:
                scan = left.pop() if left else None
            if scan is None:
                return
            with shared.in_use():
                for kind, rows in scan:
                    ask = torch.zeros(rows, 1)
                    _ = shared.encode(ask) if kind == "encode" else shared.redraw(None, ask)

    threads = [Thread(target=go_through) for _ in range(at_once)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [f"{n}, {COPIES * count(scans, kind) / n / SIZE:.0%}" for kind, n in network.batches.items()]


def recorded(path: Path) -> Asked:
    """What a scan asks of ``liver-ct-lite``."""
    from sammix.inference.scans import OutputOptions, PredictOptions, predict
    from sammix.models.saved import load_model

    network: Any = load_model(Path("liver-ct-lite"))
    asked: Asked = []
    for kind, name in (("encode", "encode"), ("decode", "masks")):
        setattr(network, name, noting(getattr(network, name), kind, asked))
    with tempfile.TemporaryDirectory() as out:
        predict(lambda: network, [path], Path(out) / "out", OutputOptions("liver"), PredictOptions(batch_size=SIZE))
    return asked


def noting(function: Callable[..., Any], kind: str, asked: Asked) -> Callable[..., Any]:
    def call(*tensors: Tensor) -> Any:
        asked.append((kind, len(tensors[0])))
        return function(*tensors)

    return call


if __name__ == "__main__":
    main()
