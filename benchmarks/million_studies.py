"""What a million studies take with ``sammix predict``: tables computed from figures that may be replaced by one's own.

    python benchmarks/million_studies.py [--cores 64 | --gpus 8] [--set slices=200 --set disk=3 …]
    python benchmarks/million_studies.py --measure DICOM_FOLDER

The first form measures nothing. What is put in are figures of RESULTS.md of two cores or of one GPU; ``--help`` names
them. The second form measures, on this machine, those of them that need no network: CPU-seconds, one thread.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

DAY = 86_400.0
RECORDS = 10_000  # of studies, whose cost is measured


@dataclass(frozen=True)
class Figures:
    """What is put in."""

    studies: float = 1e6
    slices: float = 300
    through: float = 0.6
    head: float = 0.0018
    read: float = 0.0037
    resize: float = 0.016
    encode: float = 0.62
    decode: float = 0.057
    decide: float = 0.007
    write: float = 0.0014
    record: float = 0.0001
    gpu: float = 99
    engine: float = 0.1
    stored: float = 0.41
    masks: float = 2.3e3
    pictures: float = 2e5
    entry: float = 3e3
    held: float = 8.6e3
    disk: float = 1.0


MEANINGS = {
    "studies": "how many, one series each",
    "slices": "in a study, of 512 × 512 voxels",
    "through": "share of the slices that go through the network; 1 where they lie more than 2 mm apart",
    "head": "CPU-seconds a slice: to find it and read its header, before the work begins",
    "read": "CPU-seconds a slice: DICOM to HU",
    "resize": "CPU-seconds a slice: to the network's grid",
    "encode": "CPU-seconds a slice that goes through: encoder and classifier",
    "decode": "CPU-seconds a slice that goes through: decoder, two passes",
    "decide": "CPU-seconds a slice that goes through: its part of the scan's own mask, and what is kept for it",
    "write": "CPU-seconds a slice: its part of a mask in NIfTI",
    "record": "CPU-seconds a study: its record, each time that the manifest is written",
    "gpu": "slices a second of one GPU and one process, HU to mask",
    "engine": "seconds a study that the process takes which gives scans to workers",
    "stored": "MB a slice as it is stored",
    "masks": "bytes a slice of mask and table",
    "pictures": "bytes a study of pictures for the run's page",
    "entry": "bytes a study in manifest, statistics and page",
    "held": "bytes a study in the memory of each process that writes the manifest",
    "disk": "GB a second that the storage gives to all readers together",
}


def main() -> None:
    meanings = "\n".join(f"  {one.name:9}{one.default:>9g}  {MEANINGS[one.name]}" for one in fields(Figures))
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=f"figures:\n{meanings}", formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cores", type=int, default=64)
    parser.add_argument("--gpus", type=int, default=0)
    parser.add_argument("--set", action="append", default=[], metavar="FIGURE=VALUE")
    parser.add_argument("--measure", type=Path, metavar="DICOM_FOLDER")
    options = parser.parse_args()
    if options.measure:
        measure(options.measure)
        return
    given = {name: float(value) for name, value in (one.split("=") for one in options.set)}
    if unknown := given.keys() - MEANINGS.keys():
        parser.error(f"no figure is called {', '.join(sorted(unknown))}")
    print("\n".join(tables(replace(Figures(), **given), options.cores, options.gpus)))


def stages(at: Figures) -> dict[str, float]:
    """CPU-seconds of a study, by stage."""
    inside = at.slices * at.through
    return {
        "find it, read its headers": at.slices * at.head,
        "read": at.slices * at.read,
        "to the network's grid": at.slices * at.resize,
        "encode": inside * at.encode,
        "decode": inside * at.decode,
        "the scan's own mask": inside * at.decide,
        "write": at.slices * at.write,
    }


def tables(at: Figures, cores: int, gpus: int) -> list[str]:
    """Three tables in Markdown: what a study takes, what all take, and what ends first."""
    spent = stages(at)
    total = sum(spent.values())
    lines = ["| stage | CPU-seconds a study | core-days, all |", "|---|---|---|"]
    lines += [f"| {name} | {seconds:.2f} | {seconds * at.studies / DAY:,.0f} |" for name, seconds in spent.items()]
    lines += [f"| **sum** | {total:.1f} | {total * at.studies / DAY:,.0f} |", ""]
    read, written = at.slices * at.stored / 1e3, (at.slices * at.masks + at.pictures) / 1e9
    days = at.studies * at.slices / at.gpu / gpus / DAY if gpus else at.studies * total / cores / DAY
    rate = at.studies / days / DAY
    manifest = f"{whole(at, at.record)} of CPU time at each writing"
    manifest += f", {at.held * at.studies / 1e9:,.0f} GB of memory in each process"
    lines += [
        f"| with {f'{gpus} GPUs' if gpus else f'{cores} cores'} | |",
        "|---|---|",
        f"| days | {days:,.0f} |",
        f"| studies a second | {rate:.3g} |",
        *([f"| cores beside the GPUs | {rate * (total - spent['encode'] - spent['decode']):.0f} |"] if gpus else []),
        f"| read | {read * at.studies / 1e3:,.0f} TB, {read * rate:.2g} GB a second |",
        f"| written | {written * at.studies / 1e3:,.1f} TB, {7 * at.studies:,.0f} files |",
        "",
        "| what ends first | studies a second | or |",
        "|---|---|---|",
        f"| storage of {at.disk:g} GB a second | {at.disk / read:.3g} | |",
        f"| one process that gives scans to workers | {1 / at.engine:.3g} | |",
        f"| finding all scans, in one process | {1 / (at.slices * at.head):.3g} | {whole(at, at.slices * at.head)} |",
        f"| one manifest of all | | {manifest}, {at.entry * at.studies / 1e9:,.1f} GB on disk |",
    ]
    return lines


def whole(at: Figures, seconds: float) -> str:
    """Say what all studies take of something."""
    hours = seconds * at.studies / 3600
    return f"{hours:,.0f} hours" if hours >= 1 else f"{hours * 60:,.0f} minutes"


def measure(folder: Path) -> None:
    """Print the figures that need no network."""
    import numpy as np

    from sammix.data.preprocess import Preprocess
    from sammix.inference.inputs import find_scans
    from sammix.io.writers.mask_format import write_scan_mask

    found, seconds = clocked(lambda: find_scans([folder]))
    (case,) = found.scans.values()
    count = len(case.files)
    print(f"head={seconds / count:.2g}  ({count} slices)")
    volume, seconds = clocked(case.read)
    print(f"read={seconds / count:.2g}")
    axial = volume.axial()
    _, seconds = clocked(lambda: [Preprocess().images(axial.array[k : k + 4]) for k in range(0, count, 4)])
    print(f"resize={seconds / count:.2g}")
    mask = np.asarray((volume.array > 0) & (volume.array < 100), np.uint8)
    with tempfile.TemporaryDirectory() as out:
        place = Path(out) / "mask.nii.gz"
        _, seconds = clocked(lambda: write_scan_mask(place, mask, volume, "nifti", files=(), organ="x", model="x"))
        print(f"write={seconds / count:.2g}  (a ragged mask: more than that of an organ)")
        measure_records(Path(out) / "records")


def measure_records(folder: Path) -> None:
    """Print what the records of many studies cost whoever writes the manifest."""
    from sammix.inference.manifest import Manifest, note
    from sammix.inference.shared_folder import SharedFolder

    to, settings = SharedFolder(folder), {"model": "m", "model_sha256": None}
    lists = {key: list(range(20)) for key in ("dropped_slices", "bridged_slices", "doubtful_slices")}
    entry = {"input": f"/data/ct/{'x' * 40}", "series": "1." * 30, "status": "done", "warnings": [], **lists}
    numbers = {key: 0.123456 for key in ("volume_ml", "hu_mean", "hu_sd", "z_extent_mm", "confidence", "expected_dice")}
    for number in range(RECORDS):
        note(to, f"scan-{number}", {**entry, "mask": f"scan-{number}.nii.gz"}, numbers)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    manifest = Manifest(to, settings)
    _, seconds = clocked(manifest.write)
    held = 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
    size = sum((folder / name).stat().st_size for name in ("manifest.json", "statistics.json", "statistics.csv"))
    print(f"record={seconds / RECORDS:.2g}  held={held / RECORDS:.2g}  entry={size / RECORDS:.2g}  ({RECORDS} records)")


def clocked(work: Callable[[], Any]) -> tuple[Any, float]:
    """Do something: what it gives, and its CPU-seconds."""
    began = time.process_time()
    result = work()
    return result, time.process_time() - began


if __name__ == "__main__":
    main()
