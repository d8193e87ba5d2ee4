"""How good a model's masks of whole scans are: 3-D figures first, then by slice, then where it says yes to nothing.

    python benchmarks/whole_scans.py liver-ct-lite ../shared/data/ircad ../shared/data/radcttace --out runs/whole-scans

Every ``DATA`` is a folder of scans with masks, of any layout. All its patients are measured, those too that the model
knows: name none of them in a claim. ``middle 30 %`` is the paper's protocol: the mean Dice, slice by slice and without
the gate, of the central 30 % of a scan's slices, as far as they show the organ. ``passed`` are slices without the organ
that the classifier takes for slices with it, ``marked`` those with a mask on disk. ``as written`` is by slice, too,
of the masks on disk: with what the scan decided.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from sammix.data.loading import open_data
from sammix.data.scan_slices import middle
from sammix.evaluation.protocol import EvaluateOptions, evaluate
from sammix.evaluation.rows import SliceRow, VolumeRow
from sammix.files import write_csv
from sammix.models.card import find_model, read_card
from sammix.models.devices import pick_device
from sammix.models.saved import load_model
from sammix.networks.interface import PRESENCE_THRESHOLD
from sammix.report.evaluation import write_evaluation

MIDDLE = 0.3  # of a scan's slices (paper, section 3.2)
TIP = 500  # px of true organ at 256²
Line = dict[str, float | int | str | None]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="a run, a model's folder, or the name of one that comes with the package")
    parser.add_argument("data", type=Path, nargs="+")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--organ", help="the model's own by default")
    arguments = parser.parse_args()
    folder = find_model(Path(arguments.model))
    model, card = load_model(folder, pick_device("auto")), read_card(folder)
    lines: list[Line] = []
    for path in arguments.data:
        data = open_data(path, arguments.organ or card.organ)
        found = evaluate(model, data, EvaluateOptions(data.organ, split="all"), card.lineage)
        write_evaluation(arguments.out / path.name, found, overwrite=True)
        lines += [line_of(scan, [row for row in found.slices if row.case == scan.case]) for scan in found.volumes]
    write_csv(arguments.out / "scans.csv", list(lines[0]), lines)
    print_lines(lines)


def line_of(scan: VolumeRow, rows: list[SliceRow]) -> Line:
    """One scan's figures."""
    central = range(scan.slices)[middle(scan.slices, MIDDLE)]
    free = [row for row in rows if row.truth_px == 0]
    tips = [row for row in rows if row.truth_px is not None and 0 < row.truth_px < TIP]
    return {
        "scan": scan.case,
        "slices": scan.slices,
        "Dice": scan.dice,
        "HD95 mm": scan.hausdorff95_mm,
        "surface Dice 2 mm": scan.surface_dice_2mm,
        "middle 30 %": mean_dice(row for row in rows if row.slice in central),
        "all slices": mean_dice(rows),
        "as written": mean_dice(rows, written=True),
        "below 500 px": mean_dice(tips),
        "free": scan.free_slices,
        "passed": sum(row.presence >= PRESENCE_THRESHOLD for row in free),
        "marked": scan.marked_free_slices,
    }


def mean_dice(rows: Iterable[SliceRow], written: bool = False) -> float | None:
    """Mean per-slice Dice of automatic masks before any gate, or as written; None where no slice shows the organ."""
    scores = [row.written if written else row.automatic for row in rows]
    known = [score.dice for score in scores if score is not None]
    return float(np.mean(known)) if known else None


def print_lines(lines: list[Line]) -> None:
    """A Markdown table: a row a scan, the worst first, then the sum or the mean."""
    lines = sorted(lines, key=lambda line: line["Dice"] or 0.0)
    print("| " + " | ".join(lines[0]) + " |\n|" + "---|" * len(lines[0]))
    for line in lines:
        print("| " + " | ".join(map(shown, line.values())) + " |")
    values = {name: [line[name] for line in lines if line[name] is not None] for name in list(lines[0])[1:]}
    total = [sum(v) if isinstance(v[0], int) else float(np.mean(v)) for v in values.values()]  # type: ignore[arg-type]
    print(f"| **sum or mean of {len(lines)}** | " + " | ".join(map(shown, total)) + " |")


def shown(value: float | str | None) -> str:
    """A cell: three digits of a share, one of millimetres."""
    if value is None:
        return "–"
    if not isinstance(value, float):
        return str(value)
    return f"{value:.1f}" if value > 1 else f"{value:.3f}"


if __name__ == "__main__":
    main()
