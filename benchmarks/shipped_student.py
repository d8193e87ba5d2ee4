"""Make the models that come with the package of a student and its teacher, and measure all three side by side.

    python benchmarks/shipped_student.py ../shared/data --out runs/student

``DATA`` is as for ``shipped_model.py``. The student of ``liver-ct-lite-2`` learns from the same slices as its teacher.
By itself it is ``liver-ct-fast``. In the place of its teacher's classifier it makes ``liver-ct-lite``, version 3. The
epoch is chosen on validation patients.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from real_ct import OTHERS, evaluate_all, print_table, sammix
from shipped_model import SERIES, copy_licensed, ship

TEACHER = "liver-ct-lite-2"
SHIPPED = {"model": ("liver-ct-fast", "1"), "prompted": ("liver-ct-lite", "3")}
OFFSET = "model.presence_offset=2"  # as its teacher's: fewer slices without the liver pass, of validation scan ircad07
FACTS = ("fingerprint", "seed", "labels", "teacher", "teacher_sha256")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    table, run = arguments.out / "licensed-slices", arguments.out / "run"
    copy_licensed(arguments.data / "liver-slices", table)
    asked = ("--seed", arguments.seed, "--set", OFFSET, "--out", run)
    sammix("distill", TEACHER, table, arguments.data / SERIES, *asked)
    shipped = [arguments.out / name for name, _ in SHIPPED.values()]
    for folder, (part, (_, version)) in zip(shipped, SHIPPED.items(), strict=True):
        ship(run / part, folder, version, FACTS)
    for model in (*shipped, Path(TEACHER)):
        reports = arguments.out / "reports" / model.name
        evaluate_all(model, arguments.data, reports)
        print_table(reports, ("liver-slices", *OTHERS))
    for folder in shipped:
        print(f"{folder}: {sum(file.stat().st_size for file in folder.iterdir()) / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
