"""Where the time of ``sammix fit`` goes, and how it compares with an older tree, in CPU-seconds and wall clock.

    python benchmarks/fit_speed.py ../shared/data/liver-slices --old ../sammix-before/src [--rounds 3] [--threads 2]

A whole fit takes many minutes. So every twelfth slice of the table is taken, three epochs are run in each tree, and
every part is clocked. The first epoch, which warms up, counts for nothing. **The whole fit is not run but reckoned:**
each part times its number in a fit of the whole table with 50 drawn slices.

Each run is a process of its own, the trees in turn, so that a busy machine slows both. Ratios are medians over the
rounds, of this tree to the old one.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

HERE = Path(__file__).resolve().parents[1] / "src"
TAKEN = 12  # of the table's slices, every so many-th
YES_NO_OF_A_BATCH = 16  # slices, beside those with a mask: as the preset lite has it

Times = dict[str, tuple[float, float]]
"""By part: CPU-seconds and seconds of wall clock of one."""


@dataclass(frozen=True)
class Plan:
    """A fit: how many slices of the training and of validation, how many drawn, how many epochs."""

    train: int
    val: int
    labels: int
    epochs: int

    @property
    def numbers(self) -> dict[str, int]:
        """How many of each part there are. Each drawn slice has two augmented views."""
        return {
            "features, a slice": self.train + 2 * self.labels + self.val,
            "training, a step": self.epochs * -(-self.train // YES_NO_OF_A_BATCH),
            "validation, a slice": self.epochs * self.val,
            "saving, an epoch": self.epochs,
            "the rest": 1,
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="a slice table")
    parser.add_argument("--old", type=Path, help="the src folder of the tree to compare with")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    os.environ |= {"OMP_NUM_THREADS": str(arguments.threads), "OMP_WAIT_POLICY": "PASSIVE"}
    trees = {"this tree": HERE}
    if arguments.old is not None:
        trees = {"old tree": arguments.old.resolve()} | trees
    rows = read_rows(arguments.data)
    measured: dict[str, list[Times]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder) / "table"
        small = Plan(*thinned(arguments.data, rows, table), labels=12, epochs=3)
        for turn in range(arguments.rounds):
            for name, source in trees.items():
                measured[name].append(run(source, table, Path(folder) / f"{name} {turn}", small))
    report(measured, Plan(*sizes(rows), labels=50, epochs=8))


def read_rows(table: Path) -> list[dict[str, str]]:
    with open(table / "slices.csv", newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def sizes(rows: Sequence[dict[str, str]]) -> tuple[int, int]:
    """How many slices there are to train and to validate on."""
    splits = [row["split"] for row in rows]
    return splits.count("train"), splits.count("val")


def thinned(source: Path, rows: Sequence[dict[str, str]], table: Path) -> tuple[int, int]:
    """Make a table of some of the slices; return its sizes."""
    table.mkdir()
    for entry in source.iterdir():
        if entry.name != "slices.csv":
            (table / entry.name).symlink_to(entry.resolve())
    taken = rows[::TAKEN]
    with open(table / "slices.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(taken)
    return sizes(taken)


def run(source: Path, table: Path, out: Path, plan: Plan) -> Times:
    """Fit with the tree at ``source`` in a process of its own; return what one of each part takes."""
    settings = [f"--set=fit.epochs={plan.epochs}", f"--set=fit.views={2 * plan.labels}"]
    command = ["fit", str(table), f"--labels={plan.labels}", f"--out={out}", "--quiet", *settings]
    code = "import sys, fit_speed; fit_speed.clocked_fit(sys.argv[1:])"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(source), str(Path(__file__).parent)])}
    done = subprocess.run([sys.executable, "-c", code, *command], env=environment, check=True, stdout=subprocess.PIPE)
    calls: dict[str, list[tuple[float, float]]] = json.loads(done.stdout.splitlines()[-1])
    whole = calls.pop("all")[0]
    numbers, times, known = plan.numbers, {}, [0.0, 0.0]
    for name, each in calls.items():
        warm = each[1:] or each
        number = numbers[name] * len(warm) / len(each)
        times[name] = tuple(sum(one[kind] for one in warm) / number for kind in (0, 1))
        known = [before + one * numbers[name] for before, one in zip(known, times[name], strict=True)]
    times["the rest"] = tuple(all_of - part for all_of, part in zip(whole, known, strict=True))
    return times  # type: ignore[return-value]


def clocked_fit(command: list[str]) -> None:
    """Run a command of ``sammix`` with a clock in the parts of a fit; print what each call took, as JSON."""
    began = time.process_time(), time.perf_counter()
    from sammix.cli.app import main as sammix
    from sammix.training.feature_cache import FeatureCache
    from sammix.training.trainer import Trainer

    calls: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for owner, name, part in (
        (FeatureCache, "add", "features, a slice"),
        (Trainer, "_learn", "training, a step"),
        (Trainer, "_validate", "validation, a slice"),
        (Trainer, "_keep", "saving, an epoch"),
    ):
        setattr(owner, name, clocked(getattr(owner, name), calls[part]))
    sys.argv = ["sammix", *command]
    try:
        sammix()
    except SystemExit as leave:
        if leave.code:
            raise
    calls["all"].append((time.process_time() - began[0], time.perf_counter() - began[1]))
    print(json.dumps(calls))


def clocked(function: Callable[..., Any], calls: list[tuple[float, float]]) -> Callable[..., Any]:
    """Write down what every call takes."""

    def call(*args: Any, **kwargs: Any) -> Any:
        began = time.process_time(), time.perf_counter()
        result = function(*args, **kwargs)
        calls.append((time.process_time() - began[0], time.perf_counter() - began[1]))
        return result

    return call


def report(measured: dict[str, list[Times]], whole: Plan) -> None:
    """Print the medians of the parts and of the whole fit, and of their ratios to the first tree."""
    first = next(iter(measured))
    print(
        f"Medians of {len(measured[first])} rounds. The whole fit is reckoned: {whole.train} slices to train on, ",
        end="",
    )
    print(f"{whole.labels} of them drawn, {whole.val} to validate on, {whole.epochs} epochs.\n")
    names = [f"{name}, {unit}" for name in measured for unit in ("CPU s", "wall s")]
    print(f"| part | in a fit | {' | '.join(names)} | CPU, ratio | wall, ratio |\n|{'---|' * (len(names) + 4)}")
    for part, number in (whole.numbers | {"whole fit": 1}).items():
        rounds = {name: [of_part(times, part, whole) for times in each] for name, each in measured.items()}
        figures = [f"{median(one[kind] for one in each):.3g}" for each in rounds.values() for kind in (0, 1)]
        last = list(rounds.values())[-1]
        ratios = [
            f"{median(now[kind] / before[kind] for now, before in zip(last, rounds[first], strict=True)):.2f}"
            for kind in (0, 1)
        ]
        print(f"| {part} | {number} | {' | '.join(figures + ratios)} |")


def of_part(times: Times, part: str, whole: Plan) -> tuple[float, float]:
    """What one of a part takes, or the whole fit."""
    if part in times:
        return times[part]
    cpu, wall = (sum(number * times[name][kind] for name, number in whole.numbers.items()) for kind in (0, 1))
    return cpu, wall


if __name__ == "__main__":
    main()
