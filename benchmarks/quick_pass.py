"""What a quick pass of the page costs: CPU-seconds of its process, from its start to its end, and seconds on the clock.

    python benchmarks/quick_pass.py ../shared/data/btcv ../shared/data/liver-slices --out runs/labelling --drawings 50

As in ``labelling.py``, truth answers for the person: all slices of the first data set are answered, and some are drawn.
Then the page's own process learns, with the preset ``lite`` and on features that are cached already. The first pass
begins with SAM as it came, or with ``--model``, which it is compared with; the next goes on from it. On a busy machine
only CPU-seconds tell: two quiet cores have two of them a second.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import shutil
import time
from pathlib import Path

import numpy as np
from labelling import Bench, Person
from labelling_data import Plan, blinded, truth_of

from sammix.data.store import open_store
from sammix.label.looker import load
from sammix.label.looks import KeptFeatures
from sammix.label.means import Means
from sammix.label.spawning import start_learner
from sammix.models.card import find_model


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pool", type=Path)
    parser.add_argument("test", type=Path, help="whose window is used")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--drawings", type=int, default=50)
    parser.add_argument("--passes", type=int, default=2)
    parser.add_argument("--model", type=Path, help="to begin with instead of SAM as it came, such as liver-ct-lite")
    arguments = parser.parse_args()
    plan = Plan(arguments.pool, arguments.test, arguments.out)
    bench = Bench(plan, blinded(plan), plan.out / "quick-pass")
    shutil.rmtree(bench.folder, ignore_errors=True)
    with bench.opened(0) as service:
        person = Person(service, truth_of(plan.pool))
        person.answer_all()
        person.draw_by_lot(arguments.drawings, 0)
        before = None if arguments.model is None else find_model(arguments.model)
        fill(bench, before)
        print("| pass | CPU-s | s on the clock | yes | no | drawn | held out | measure | before | after |")
        print(f"|{'---|' * 10}")
        for number in range(1, arguments.passes + 1):
            run = bench.folder / "models" / f"model-{number}"
            cpu, clock, told = passed(bench, run, before)
            figures = [told["yes"], told["no"], told["drawn"], told["held_out"], told["measure"]]
            scores = ["–" if told[name] is None else f"{told[name]:.3f}" for name in ("before", "score")]
            print(f"| {number} | {cpu:.0f} | {clock:.0f} | {' | '.join(map(str, figures + scores))} |", flush=True)
            before = run


def fill(bench: Bench, model: Path | None) -> None:
    """Compute the features that the page computes in the background."""
    table, loaded = open_store(bench.base), load(model, bench.plan.preset)
    features = KeptFeatures(loaded.network, table, loaded.config.model, loaded.base, bench.plan.out / "features")
    for row in range(len(table)):
        features.of(np.array([row]))


def passed(bench: Bench, run: Path, before: Path | None) -> tuple[float, float, dict[str, object]]:
    """Let the page's process learn; return its CPU-seconds, seconds on the clock, and its report."""
    means = Means(bench.data, "liver", bench.folder, preset=bench.plan.preset)
    used, began = _children(), time.monotonic()
    context = multiprocessing.get_context("spawn")
    connection, process = start_learner(context, means, run, before, quick=True, own_only=False)
    while True:
        kind, told = connection.recv()
        if kind != "says":
            break
    process.join()
    assert kind == "done", told
    return _children() - used, time.monotonic() - began, told


def _children() -> float:
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime


if __name__ == "__main__":
    main()
