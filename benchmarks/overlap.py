"""What reading and writing beside computing saves by the clock: a run over several scans with it and without, in turn.

    python benchmarks/overlap.py SCAN SCAN … [--rounds 3] [--threads 1] [--model liver-ct-fast]

Each run is a process of its own. *One after the other* takes every scan through all its steps before the next begins,
which ``sammix predict`` itself cannot do. Ratios are medians over the pairs of runs. A busy machine has no core free
for what runs beside; so the load average before each pair is printed, too.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from statistics import median

from sammix.inference import settling
from sammix.inference.pipeline import Steps, T, run_through

WAYS = ("one after the other", "beside each other")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scans", type=Path, nargs="+")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1, help="of the network")
    parser.add_argument("--model", default="liver-ct-fast")
    arguments = parser.parse_args()
    os.environ |= {"OMP_NUM_THREADS": str(arguments.threads), "OMP_WAIT_POLICY": "PASSIVE"}
    words = [arguments.model, *map(str, arguments.scans)]
    spent: dict[str, list[tuple[float, float]]] = {way: [] for way in WAYS}
    for turn in range(arguments.rounds):
        print(f"pair {turn + 1}: load average {os.getloadavg()[0]:.1f}", flush=True)
        for way in WAYS if turn % 2 else WAYS[::-1]:
            spent[way].append(whole_run(way, words))
    print(f"\n| {len(arguments.scans)} scans, median of {arguments.rounds} | wall s | CPU s |\n|---|---|---|")
    for way, runs in spent.items():
        print(f"| {way} | {median(wall for wall, _ in runs):.1f} | {median(cpu for _, cpu in runs):.1f} |")
    pairs = list(zip(spent[WAYS[1]], spent[WAYS[0]], strict=True))
    ratios = [median(beside[kind] / after[kind] for beside, after in pairs) for kind in (0, 1)]
    print(f"| ratio | {ratios[0]:.2f} | {ratios[1]:.2f} |")


def whole_run(way: str, words: list[str]) -> tuple[float, float]:
    """Run ``sammix predict`` in one of the two ways: (seconds of wall clock, CPU-seconds)."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    with tempfile.TemporaryDirectory() as out:
        code = "import sys, overlap; overlap.predict(sys.argv[1], sys.argv[2:])"
        command = [sys.executable, "-c", code, way, *words, "--out", f"{out}/out", "--quiet"]
        paths = [str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))}
        subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    elapsed = time.perf_counter() - began
    return elapsed, after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def predict(way: str, words: list[str]) -> None:
    """Run ``sammix predict`` with ``words`` here, in one of the two ways."""
    from sammix.cli.app import main as sammix

    if way == WAYS[0]:
        settling.overlapped = one_after_the_other  # type: ignore[attr-defined]  # it only imports it
    sys.argv = ["sammix", "predict", *words]
    sammix()


def one_after_the_other(
    scans: Iterable[Steps[T]], at_once: int = 1, stop: Callable[[], None] | None = None
) -> Iterator[T]:
    """Stand in for :func:`~sammix.inference.pipeline.overlapped`."""
    yield from map(run_through, scans)


if __name__ == "__main__":
    main()
