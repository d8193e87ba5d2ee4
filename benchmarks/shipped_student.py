"""Make the student that comes with the package, ``liver-ct-fast``, and measure it beside its teacher.

    python benchmarks/shipped_student.py ../shared/data --out runs/student

``DATA`` is as for ``shipped_model.py``. The student of ``liver-ct-lite`` learns from the same slices as its teacher.
The
epoch is chosen on validation patients. The third model that is measured is the teacher, prompted by its student.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from real_ct import OTHERS, print_table, sammix
from shipped_model import SERIES, copy_licensed, ship

NAME, VERSION, TEACHER = "liver-ct-fast", "1", "liver-ct-lite"
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
    shipped = arguments.out / NAME
    ship(run / "model", shipped, VERSION, FACTS)
    for model in (shipped, run / "prompted", Path(TEACHER)):
        reports = arguments.out / "reports" / model.name
        for name in ("liver-slices", *OTHERS):
            sammix("evaluate", model, arguments.data / name, "--out", reports / name)
        print_table(reports, ("liver-slices", *OTHERS))
    print(f"{shipped}: {sum(file.stat().st_size for file in shipped.iterdir()) / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
