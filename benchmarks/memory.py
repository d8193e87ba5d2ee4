"""How much memory ``predict`` takes: one huge scan, and many small ones in one go. Toy weights, real code paths.

    python benchmarks/memory.py --out runs/memory

Writes a synthetic scan of 512 × 512 × 1500 voxels (a phantom, repeated) and a hundred small ones.
"""

# nibabel is not typed.
# mypy: disable-error-code="no-untyped-call"

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time
from pathlib import Path

import nibabel as nib
import numpy as np

from sammix.demo.phantoms import PORTAL, make_phantom, write_lits

HUGE = (512, 512, 1500)
LIMIT = 4.0  # GiB
MANY = 100
GROWTH = 0.02  # of the memory held after the first ten scans


def sammix(*words: object) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", "sammix", *map(str, words), "--device", "cpu", "--quiet"])


def resident(process: subprocess.Popen[bytes]) -> int:
    """KiB in memory now (Linux)."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    return next((int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS")), 0)


def huge_scan(path: Path) -> Path:
    """A phantom in every voxel of a long scan."""
    phantom = make_phantom(0, PORTAL.at((64, 64, 50)))
    tiled = np.tile(np.repeat(np.repeat(phantom.hu, 8, axis=0), 8, axis=1), (1, 1, HUGE[2] // 50))
    assert tiled.shape == HUGE
    nib.save(nib.Nifti1Image(tiled, np.diag([-0.8, -0.8, 1.0, 1.0])), path)
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--suffix", default=".nii.gz", choices=[".nii", ".nii.gz"])
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    small = PORTAL.at((72, 72, 12))
    write_lits(out / "train", 6, 0, small)
    run = out / "run"
    assert sammix("fit", out / "train", "--preset", "tiny", "--labels", "4", "--out", run).wait() == 0

    (out / "many").mkdir()
    for number in range(MANY):
        phantom = make_phantom(number % 10, small)
        nib.save(nib.Nifti1Image(phantom.hu, phantom.affine), out / "many" / f"{number:03}.nii.gz")
    process = sammix("predict", run, out / "many", "--out", out / "masks")
    held: dict[int, int] = {}
    while process.poll() is None:
        held[len(list((out / "masks").glob("*.nii.gz")))] = resident(process)
        time.sleep(0.02)
    assert process.returncode == 0
    early, late = (max(kib for done, kib in held.items() if low <= done < high) for low, high in ((10, 20), (90, 100)))
    growth = late / early - 1
    print(f"{MANY} scans: {early / 1024:.0f} MiB at the tenth, {late / 1024:.0f} MiB at the end ({growth:+.1%})")

    scan = huge_scan(out / "scans.nii.gz" if parser.parse_args().suffix == ".nii.gz" else out / "scans.nii")
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, time.monotonic()
    assert sammix("predict", run, scan, "--out", out / "huge").wait() == 0
    peak = max(before, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss) / 2**20
    print(f"{' × '.join(map(str, HUGE))} voxels: {peak:.2f} GiB at most, {time.monotonic() - start:.0f} s")
    raise SystemExit(peak > LIMIT or growth > GROWTH)


if __name__ == "__main__":
    main()
