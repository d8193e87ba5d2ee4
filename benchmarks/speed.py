"""Where the time of ``sammix predict`` goes, and how it compares with an older tree, in CPU-seconds and wall clock.

    python benchmarks/speed.py SCAN --old ../sammix-before/src [--rounds 3] [--threads 2]

Whole runs are processes of their own in turns, so that a busy machine slows all: the old tree's, this one's, and this
one's with ``--every-slice`` and with ``--fast``. Ratios are medians over the turns, against the first. The stage table
is one more run of this tree, in this process. The floor is what the network's products alone would take at the best
rate that a large bfloat16 product reaches here.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

HERE = Path(__file__).resolve().parents[1] / "src"
MODEL, FAST_MODEL = "liver-ct-lite", "liver-ct-fast"

Run = tuple[Path, tuple[str, ...]]
"""The source of a tree, and the model and options of ``predict``."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scan", type=Path)
    parser.add_argument("--old", type=Path, help="the src folder of the tree to compare with")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    os.environ |= {"OMP_NUM_THREADS": str(arguments.threads), "OMP_WAIT_POLICY": "PASSIVE"}
    runs: dict[str, Run] = {
        "this tree": (HERE, (MODEL,)),
        "this tree, --every-slice": (HERE, (MODEL, "--every-slice")),
        "this tree, --fast": (HERE, (FAST_MODEL,)),
    }
    if arguments.old is not None:
        runs = {"old tree": (arguments.old.resolve(), (MODEL,))} | runs
    compare(runs, arguments.scan, arguments.rounds)
    stages(arguments.scan)


def compare(runs: dict[str, Run], scan: Path, rounds: int) -> None:
    """Print the medians of all runs, and of their ratios to the first."""
    cpu: dict[str, list[float]] = defaultdict(list)
    wall: dict[str, list[float]] = defaultdict(list)
    for _ in range(rounds):
        for name, (source, words) in runs.items():
            seconds, elapsed = whole_run(source, words, scan)
            cpu[name].append(seconds)
            wall[name].append(elapsed)
    first = next(iter(runs))
    print(f"| whole run, median of {rounds} | CPU s | wall s | CPU, ratio | wall, ratio |\n|---|---|---|---|---|")
    for name in runs:
        ratios = [median(a / b for a, b in zip(kind[name], kind[first], strict=True)) for kind in (cpu, wall)]
        figures = f"{median(cpu[name]):.1f} | {median(wall[name]):.1f} | {ratios[0]:.2f} | {ratios[1]:.2f}"
        print(f"| {name} | {figures} |")
    print()


def whole_run(source: Path, words: tuple[str, ...], scan: Path) -> tuple[float, float]:
    """Run ``sammix predict`` of the tree at ``source``: (CPU-seconds of user and system, seconds of wall clock)."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    with tempfile.TemporaryDirectory() as out:
        command = [sys.executable, "-m", "sammix", "predict", *words, str(scan), "--out", f"{out}/out", "--quiet"]
        environment = os.environ | {"PYTHONPATH": str(source)}
        subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    return spent, time.perf_counter() - began


def stages(scan: Path) -> None:
    """Print what each stage of one run takes, and the floor."""
    spent: dict[str, float] = defaultdict(float)
    began = time.process_time()
    with tempfile.TemporaryDirectory() as out:
        run = prepared(spent)
        spent["imports"] += time.process_time() - began
        run(scan, Path(out) / "out")
    spent["the rest"] = time.process_time() - began - sum(spent.values())
    print("| stage | CPU s |\n|---|---|")
    for name, seconds in sorted(spent.items(), key=lambda item: -item[1]):
        print(f"| {name} | {seconds:.1f} |")
    encoder, decoder, rate = floor()
    print(
        f"\nFloor at {rate / 1e9:.0f} GMAC/s: {encoder / rate:.2f} s a slice encoded, "
        f"{decoder / rate:.2f} s a slice decoded once."
    )


def prepared(spent: dict[str, float]) -> Callable[[Path, Path], Any]:
    """Import what ``sammix predict`` imports, with a clock in every stage; return what runs it."""
    from sammix.cli.allocator import keep_freed_memory
    from sammix.inference import scans
    from sammix.models import saved

    keep_freed_memory()
    for owner, name, stage in clocked_functions():
        setattr(owner, name, clocked(getattr(owner, name), spent, stage))
    options = scans.OutputOptions(organ="liver")
    return lambda path, out: scans.predict(lambda: saved.load_model(Path(MODEL)), [path], out, options)


def clocked_functions() -> list[tuple[Any, str, str]]:
    """List where each stage's function is looked up when it is called, its name there, and what the stage is called."""
    from sammix.data.preprocess import Preprocess
    from sammix.inference import scan_assembler, scans
    from sammix.io import Case
    from sammix.models import saved
    from sammix.networks.sam_mix import SAMMix

    return [
        (saved, "load_model", "loading the model"),
        (Case, "read", "reading the scan"),
        (Preprocess, "images", "resizing slices"),
        (SAMMix, "glance", "glance of the classifier"),
        (SAMMix, "encode", "encoder and classifier"),
        (SAMMix, "_prompted_by", "decoder, all passes"),
        (scan_assembler.ScanAssembler, "_overruled", "the scan's own tissue"),
        (scan_assembler, "interpolate", "masks between"),
        (scan_assembler, "assemble", "deciding on the whole scan, back to its pixels"),
        (scans, "write_scan_mask", "writing"),
    ]


def clocked(function: Callable[..., Any], spent: dict[str, float], stage: str) -> Callable[..., Any]:
    """Add the CPU-seconds of every call to ``spent[stage]``."""

    def call(*args: Any, **kwargs: Any) -> Any:
        began = time.process_time()
        try:
            return function(*args, **kwargs)
        finally:
            spent[stage] += time.process_time() - began

    return call


def floor() -> tuple[float, float, float]:
    """Multiplications of one slice's encoding and of one decoding, and how many a second this machine makes."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from sammix.networks.sam.segment_anything import build_lite_medsam

    sam = build_lite_medsam(None).eval()
    counts = []
    with torch.no_grad():
        embedding = sam.image_encoder(torch.rand(1, 1, 256, 256))
        box, mask = torch.tensor([[30.0, 30, 200, 200]]), torch.rand(1, 1, 256, 256)
        for compute in (
            lambda: sam.image_encoder(torch.rand(1, 1, 256, 256)),
            lambda: sam.decode(embedding, box, mask),
        ):
            with FlopCounterMode(display=False) as counter:
                compute()
            counts.append(counter.get_total_flops() / 2)
        a, b = torch.randn(2, 2048, 2048, dtype=torch.bfloat16)
        seconds = []
        for _ in range(9):
            began = time.process_time()
            a @ b
            seconds.append(time.process_time() - began)
    return counts[0], counts[1], 2048**3 / min(seconds)


if __name__ == "__main__":
    main()
