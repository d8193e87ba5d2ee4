"""Any layout → a prepared store, by this process or by several.

Several processes write the store in parts, of a few cases each, into a folder beside it. This process joins the parts,
in the cases' order. A part that an earlier command left there, of the same files and settings, is taken as it is.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

from sammix import __version__
from sammix.cluster.engine import ATTEMPTS, Engine, connected, each_done
from sammix.config import DataConfig
from sammix.data.loading import label_rules, preprocess_for, read_stack, read_stacks, sum_up
from sammix.data.preprocess import Preprocess
from sammix.data.scan_slices import SliceStack
from sammix.data.slice_labels import Doubt, SliceDoubt
from sammix.data.store import FORMAT, is_store_name, join_stores, write_store
from sammix.errors import OutputError
from sammix.files import attempted, check_folder, sole_writer, write_text
from sammix.io import Case, open_dataset
from sammix.io.dataset import Dataset
from sammix.io.limits import say_what_fits
from sammix.log import Counted, Line, kept, say, say_again, track, warn

PARTS = 10_000
"""In how many parts a store is written at most: each costs some milliseconds of Dask's."""

PROGRAM = 350_000_000
"""Bytes that a worker takes before it reads a scan."""


def prepare(source: Path, out: Path, config: DataConfig, overwrite: bool = False, engine: Engine | None = None) -> int:
    """Write a layout's slices to an HDF5 store; returns how many.

    Args:
        source: the layout's folder. With an engine on other machines, it and ``out`` must have the same paths there.
        out: the store.
        config: which slices, on which grid, and how they are labelled.
        overwrite: replace a store.
        engine: several processes that read the scans; None: this one does.

    Raises:
        OutputError: ``out`` exists or cannot be written. SammixError: nothing could be read.
    """
    if not is_store_name(out):
        raise OutputError(out, "is not a name for a store", "let it end in .h5")
    if out.exists() and not overwrite:
        raise OutputError(out, "exists already", "name another file, or allow it with --overwrite")
    dataset = open_dataset(source, config.organ, label_rules(config))
    preprocess = preprocess_for(config, dataset.window_level, dataset.window_width)
    if engine is None:
        return write_store(out, read_stacks(dataset, preprocess, config.middle_fraction), dataset, preprocess)
    return _in_parts(engine, dataset, preprocess, config.middle_fraction, out)


@dataclass(frozen=True)
class Part:
    """Some cases, in a row, and where their slices are written: ``NAME.h5``, and then ``NAME.json``, what came of them.

    There is no ``NAME.h5`` where none of the cases could be read.

    Attributes:
        dataset: with these cases alone.
        preprocess, middle_fraction: how they are read.
        folder: of all parts.
        name: says which files and settings it is made of.
    """

    dataset: Dataset
    preprocess: Preprocess
    middle_fraction: float
    folder: Path
    name: str

    @property
    def store(self) -> Path:
        """Its slices."""
        return self.folder / f"{self.name}.h5"

    @property
    def record(self) -> Path:
        """What came of its cases. It is written last."""
        return self.folder / f"{self.name}.json"


@dataclass(frozen=True)
class Outcome:
    """What came of a part's cases.

    Attributes:
        failed: how many were left out.
        told: warnings, each with the case that it is about.
        doubts: about slices of a case.
        lines: what was said of them.
    """

    failed: int
    told: list[tuple[str, str]]
    doubts: list[tuple[str, SliceDoubt]]
    lines: list[Line]

    def write(self, file: Path) -> None:
        """Keep it."""
        doubts = [(case, doubt.what.name, doubt.slices) for case, doubt in self.doubts]
        write_text(file, json.dumps({"failed": self.failed, "told": self.told, "doubts": doubts, "lines": self.lines}))

    @classmethod
    def read(cls, file: Path) -> Outcome:
        """Read what was kept.

        Raises:
            OutputError: it is damaged.
        """
        try:
            kept_of_it = json.loads(file.read_text(encoding="utf-8"))
            doubts = [(case, SliceDoubt(Doubt[what], slices)) for case, what, slices in kept_of_it["doubts"]]
            told = [(warning, case) for warning, case in kept_of_it["told"]]
            return cls(int(kept_of_it["failed"]), told, doubts, [(level, line) for level, line in kept_of_it["lines"]])
        except (ValueError, KeyError, TypeError) as error:
            raise OutputError(file, "is damaged", "remove it: its scans are read anew") from error


def _in_parts(engine: Engine, dataset: Dataset, preprocess: Preprocess, middle_fraction: float, out: Path) -> int:
    folder = out.with_name(f"{out.name}.parts")

    with sole_writer(folder, partial(check_folder, folder)):
        for mark in folder.glob("*.begun"):
            mark.unlink()
        for problem in dataset.problems:
            warn(problem)
        parts = list(_cut(dataset, preprocess, middle_fraction, folder))
        try:
            _write_parts(engine, parts)
        except KeyboardInterrupt:
            say(f"the parts that are done stay in {folder}; the same command goes on with them")
            raise
        outcomes = [Outcome.read(part.record) for part in parts]
        sum_up(
            chain.from_iterable(one.told for one in outcomes),
            chain.from_iterable(one.doubts for one in outcomes),
            sum(one.failed for one in outcomes),
            dataset,
        )
        count = join_stores(out, [part.store for part in parts if part.store.exists()], dataset)
        shutil.rmtree(folder)
    return count


def _cut(dataset: Dataset, preprocess: Preprocess, middle_fraction: float, folder: Path) -> Iterator[Part]:
    """Cut a data set into at most ``PARTS``, of cases in a row."""
    size, how = -(-len(dataset.cases) // PARTS), (__version__, FORMAT, preprocess, middle_fraction, dataset.rules)
    for start in range(0, len(dataset.cases), size):
        cases = dataset.cases[start : start + size]
        stamp = repr((how, dataset.name, dataset.organ, [(case, _stamp(case)) for case in cases]))
        name = hashlib.sha256(stamp.encode(errors="surrogatepass")).hexdigest()[:16]
        yield Part(replace(dataset, cases=cases, problems=()), preprocess, middle_fraction, folder, name)


def _stamp(case: Case) -> list[Any]:
    """Tell a case's files from others that may take their place: by size and time."""
    stamps = []
    for path in (case.image, case.mask, *case.files):
        try:
            found = path and path.stat()
        except OSError:
            continue  # of an archive, or gone: reading it will say so
        stamps.append(found and (found.st_size, found.st_mtime_ns))
    return stamps


def _write_parts(engine: Engine, parts: list[Part]) -> None:
    """Write the parts that are not there yet, and say of all what there is to say."""
    there = [part for part in parts if part.record.exists()]
    for part in there:
        say_again(Outcome.read(part.record).lines)
    if there:
        say(f"{len(there)} of {len(parts)} parts are there already")
    jobs = {part.name: (part,) for part in parts if part not in there}
    if not jobs:
        return
    with connected(engine) as workers:
        say_what_fits(workers.memory, PROGRAM)
        written = Counted(len(jobs), each_done(workers, write_part, jobs))
        for _, done in track(written, f"reading {parts[0].dataset.name}"):
            say_again(done.result.lines)


def write_part(part: Part) -> Outcome:
    """Write a part of a store, in a worker, unless it is there: a job may be given out twice."""
    if part.record.exists():
        return Outcome.read(part.record)
    part.store.unlink(missing_ok=True)  # its process was killed before it could keep what came of the cases
    failed, told, doubts = 0, list[tuple[str, str]](), list[tuple[str, SliceDoubt]]()

    def stacks() -> Iterator[SliceStack]:
        nonlocal failed
        for number, case in enumerate(part.dataset.cases):
            with attempted(part.folder / f"{part.name}-{number}.begun") as attempt:
                if attempt > ATTEMPTS:
                    problem = f"took its process down {ATTEMPTS} times; perhaps there is not enough memory for it"
                    warn(f"left out: {case.image}: {problem}")
                    stack = None
                else:
                    stack = read_stack(case, part.preprocess, part.middle_fraction)
                if stack is None:
                    failed += 1
                else:
                    told.extend((warning, case.name) for warning in stack.warnings)
                    doubts.extend((case.name, doubt) for doubt in stack.doubts)
                    yield stack

    with kept() as lines:
        found = stacks()
        first = next(found, None)
        if first is not None:
            write_store(part.store, chain([first], found), part.dataset, part.preprocess)
    outcome = Outcome(failed, told, doubts, lines)
    outcome.write(part.record)
    return outcome
