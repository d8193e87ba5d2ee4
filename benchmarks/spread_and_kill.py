"""Kill workers and the driver of ``predict --workers`` at random moments; compare all masks with those of one process.

    python benchmarks/spread_and_kill.py --out runs/spread [--scans 200] [--workers 4] [--kills 10] [--seed 0]

Toy network and small phantoms: what is tested is the engine. Printed are: whether every mask is whole, and identical to
that of one process with as many threads as a worker has; whether every input is accounted for once; what the engine
costs a scan; and the throughput of 1, 2 and 4 workers against one process without an engine, all in one run. Linux.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from sammix.demo.phantoms import PORTAL, write_lits

DIFFERENT = 10  # phantoms; the others are copies


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--scans", type=int, default=200)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    model, scans = prepare(options.out, options.scans)
    _, seconds = timed(model, scans, options.out / "alone")
    print(f"one process, no engine: {options.scans} scans in {seconds:.1f} s, of which start {start_of(model):.1f} s")
    for workers in (1, 2, 4):
        _, spread = timed(model, scans, options.out / f"workers-{workers}", "--workers", str(workers))
        print(f"{workers} workers: {spread:.1f} s, {seconds / spread:.2f} of one process' throughput, start included")
        if workers == 1:
            print(f"so the engine costs {1000 * (spread - seconds) / options.scans:.0f} ms a scan, start included")
    killed(model, scans, options)
    threads = max(1, (os.cpu_count() or 1) // options.workers)  # of each worker: sums are rounded by them
    with_as_many, _ = timed(model, scans, options.out / "alone-as-a-worker", threads=threads)
    same(with_as_many, options.out / "killed", options.scans)


def prepare(out: Path, count: int) -> tuple[Path, Path]:
    """A toy model, and scans: some phantoms, and copies of them under other names."""
    phantoms, scans, run = out / "phantoms", out / "scans", out / "run"
    if not run.exists():
        write_lits(phantoms, DIFFERENT, 0, PORTAL.at((72, 72, 12)))
        scans.mkdir(parents=True)
        for k in range(count):
            shutil.copy(phantoms / f"volume-{k % DIFFERENT}.nii", scans / f"ct-{k:04}.nii")
        fit = [
            "fit",
            str(phantoms),
            "--preset",
            "tiny",
            "--labels",
            "4",
            "--out",
            str(run),
            "--device",
            "cpu",
            "--quiet",
        ]
        subprocess.run([sys.executable, "-m", "sammix", *fit], check=True)
    return run, scans


def command(model: Path, scans: Path, out: Path, *more: str) -> list[str]:
    """The words of ``sammix predict``."""
    words = ["predict", str(model), str(scans), "--out", str(out), "--device", "cpu", "--quiet", *more]
    return [sys.executable, "-m", "sammix", *words]


def timed(model: Path, scans: Path, out: Path, *more: str, threads: int | None = None) -> tuple[Path, float]:
    """Run ``sammix predict``: its folder, and the seconds that it took."""
    shutil.rmtree(out, ignore_errors=True)
    environment = {**os.environ, **({} if threads is None else {"OMP_NUM_THREADS": str(threads)})}
    began = time.monotonic()
    subprocess.run(command(model, scans, out, *more), check=True, stdout=subprocess.DEVNULL, env=environment)
    return out, time.monotonic() - began


def start_of(model: Path) -> float:
    """Seconds until a model is loaded."""
    load = f"import sammix; sammix.load({str(model)!r}, device='cpu')"
    began = time.monotonic()
    subprocess.run([sys.executable, "-c", load], check=True)
    return time.monotonic() - began


def killed(model: Path, scans: Path, options: argparse.Namespace) -> None:
    """Kill workers, half of the times; then the driver; go on; kill the other half."""
    rng, out, left = random.Random(options.seed), options.out / "killed", options.kills
    shutil.rmtree(out, ignore_errors=True)
    words = command(model, scans, out, "--workers", str(options.workers), "--skip-done")
    for last in (False, True):
        driver = subprocess.Popen(words, stdout=subprocess.DEVNULL)
        while left > (0 if last else options.kills // 2) and driver.poll() is None:
            time.sleep(rng.uniform(0.5, 4))
            if list(out.glob("*.nii.gz")) and (workers := workers_of(driver.pid)):
                os.kill(rng.choice(workers), signal.SIGKILL)
                left -= 1
                print(f"worker killed with {len(list(out.glob('*.nii.gz')))} masks there", flush=True)
        if not last:
            driver.kill()
            print(f"driver killed with {len(list(out.glob('*.nii.gz')))} masks there", flush=True)
        code = driver.wait()
        for pid in workers_of(driver.pid):
            print(f"worker {pid} outlived its driver")
    print(f"the second driver ended with exit code {code}; {left} kills came too late")


def workers_of(driver: int) -> list[int]:
    """Processes below a driver that multiprocessing spawned to work."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            parent = re.search(r"^PPid:\s+(\d+)", (entry / "status").read_text(), re.MULTILINE)
            line = (entry / "cmdline").read_text()
        except (OSError, ValueError):
            continue
        if parent and int(parent[1]) == driver and "spawn_main" in line:
            found.append(int(entry.name))
    return found


def same(alone: Path, out: Path, count: int) -> None:
    """Compare two folders, and count the inputs."""
    masks = sorted(path.name for path in alone.glob("*.nii.gz"))
    differ = [
        name for name in masks if not (out / name).is_file() or (out / name).read_bytes() != (alone / name).read_bytes()
    ]
    scans = json.loads((out / "manifest.json").read_text())["scans"]
    inputs = [scan["input"] for scan in scans]
    failed = [scan["name"] for scan in scans if scan["status"] != "done"]
    extra = {path.name for path in out.iterdir()} ^ {path.name for path in alone.iterdir()}
    print(
        f"masks that differ from one process': {len(differ)} of {len(masks)}; failed: {failed}; files beside: {extra}"
    )
    print(f"inputs accounted for: {len(inputs)} entries, {len(set(inputs))} different, of {count}")
    raise SystemExit(bool(differ or failed or extra or len(inputs) != count or len(set(inputs)) != count))


if __name__ == "__main__":
    main()
