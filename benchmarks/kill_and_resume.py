"""Kill a fit at random moments, resume it, and compare its end with that of an undisturbed run, bit by bit.

    python benchmarks/kill_and_resume.py --out runs/kill --times 20 --seed 0

The moments are spread evenly over the whole life of the fit, one at random in each part, so that some fall into reading
the data and some into writing a checkpoint. A third of the runs is killed again while it resumes. A kill that comes too
late, on a machine that became faster, does not count. Every fit is the command line in a process of its own, forked
from one that has imported what it needs. Linux.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import time
from importlib import import_module
from multiprocessing import get_context
from multiprocessing.context import ForkProcess
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file

from sammix import cli
from sammix.demo.phantoms import PORTAL, write_lits

EPOCHS = 2


def command(words: list[str], told: Path) -> None:
    """The command line, in this process; what it says goes into a file."""
    with told.open("w") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    sys.argv = ["sammix", *words]
    cli.main()


def start(told: Path, *words: object) -> ForkProcess:
    process = get_context("fork").Process(target=command, args=([*map(str, words), "--device", "cpu", "--quiet"], told))
    process.start()
    return process


def wait(process: ForkProcess, told: Path) -> str:
    """What the process said, if it failed."""
    process.join()
    return told.read_text() or f"exit code {process.exitcode}" if process.exitcode else ""


def kill(process: ForkProcess, after: float) -> None:
    process.join(after)
    process.kill()
    process.join()


def log(run: Path) -> list[dict[str, object]]:
    lines = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    return [{name: value for name, value in line.items() if name != "time"} for line in lines]


def differs(run: Path, whole: Path) -> str:
    """How ``run`` ended otherwise than ``whole``; empty where it did not."""
    if log(run) != log(whole):
        return "its log differs"
    one, other = (load_file(path / "model" / "model.safetensors") for path in (run, whole))
    if one.keys() != other.keys() or not all(one[name].equal(other[name]) for name in one):
        return "its weights differ"
    if (run / "model" / "model.json").read_text() != (whole / "model" / "model.json").read_text():
        return "its model.json differs"
    names = [{path.relative_to(folder) for path in folder.rglob("*")} for folder in (run, whole)]
    return f"its files differ: {names[0] ^ names[1]}" if names[0] != names[1] else ""


def where(run: Path) -> str:
    """How far it had come."""
    if not (run / "config.json").exists():
        return "before its first file"
    if json.loads((run / "config.json").read_text()).get("data") is None:
        return "in reading the data"
    epochs = len((run / "log.jsonl").read_text().splitlines()) if (run / "log.jsonl").exists() else 0
    return f"after {epochs} epochs" + (", in writing a file" if list(run.rglob(".????????.*")) else "")


def once(data: Path, run: Path, whole: Path, fit: list[str], moments: list[float]) -> str:
    """What happened; empty where the first kill came too late."""
    told = run.with_suffix(".txt")
    places: list[str] = []
    process = start(told, "fit", data, "--out", run, *fit)
    for moment in moments:
        kill(process, moment)
        if not (process.exitcode or places):
            return ""
        places.append(where(run) if process.exitcode else "when it was done")
        begun = (run / "config.json").exists()
        process = start(told, "fit", data, "--out", run, *(["--resume"] if begun else fit))
    said = wait(process, told)
    problem = said.strip().splitlines()[-1] if said else differs(run, whole)
    return f"killed {' and '.join(places)}: {problem or 'the same end'}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    import_module("sammix.training.fitting")  # before the forks
    torch.set_num_threads(1)
    data, whole, told = (arguments.out / name for name in ("data", "whole", "whole.txt"))
    write_lits(data, 6, 0, PORTAL.at((72, 72, 12)))
    fit = ["--preset", "tiny", "--labels", "4", "--set", f"fit.epochs={EPOCHS}"]
    began = time.monotonic()
    if said := wait(start(told, "fit", data, "--out", whole, *fit), told):
        raise SystemExit(said)
    life = time.monotonic() - began
    print(f"undisturbed: {life:.1f} s", flush=True)
    rng, failed, number = np.random.default_rng(arguments.seed), 0, 0
    while number < arguments.times:
        moments = [life * (number + rng.random()) / arguments.times]
        if number % 3 == 0:
            moments.append(life * rng.random())
        run = arguments.out / f"{number}"
        outcome = once(data, run, whole, fit, moments)
        if not outcome:
            life *= 0.9
            shutil.rmtree(run)
            continue
        number += 1
        print(f"{number}: at {', '.join(f'{moment:.1f}' for moment in moments)} s {outcome}", flush=True)
        if outcome.endswith("the same end"):
            shutil.rmtree(run)
        else:
            failed += 1
    print(f"{arguments.times - failed} of {arguments.times} ended bit-identical")
    raise SystemExit(bool(failed))


if __name__ == "__main__":
    main()
