"""Keep what ``predict`` leaves beside the masks: ``manifest.json``, ``statistics.json``, ``statistics.csv``.

Each scan that is done leaves a record of its own, at once. The three files are made of all records, whoever wrote them:
by each process now and then, and when it leaves. So is the run's page, when a process leaves.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from sammix.errors import OutputError
from sammix.files import csv_text, json_text
from sammix.inference.destination import WORK, Destination
from sammix.log import warn

MODEL = ("model", "model_sha256")
COLUMNS = ("name", "volume_ml", "hu_mean", "hu_sd", "z_extent_mm", "slices_with_organ", "confidence")
QUALITY = ("expected_dice", "expected_dice_low", "expected_dice_high", "look")
SCANS, RUNS = f"{WORK}/scans", f"{WORK}/runs"
RARELY = 50
"""The three files are written again when this many times the time has passed that writing them took."""

PAGE = "index.html"

Record = dict[str, Any]

IndexDrawer = Callable[[Record, Sequence[Record]], str]
"""Draws the page of a run: (what the manifest says, the statistics' rows) → HTML."""


def note(to: Destination, name: str, entry: Record, statistics: Record | None) -> Record:
    """Leave the record of a scan, done or failed, under its name; returns it."""
    finished = datetime.now(UTC).isoformat(timespec="microseconds")
    record = {"entry": {"name": name, **entry, "finished": finished}, "statistics": statistics}
    to.write(f"{SCANS}/{name}.json", json_text(record))
    return record


def noted(to: Destination, name: str) -> Record | None:
    """Read the record of a scan, whoever left it; None where there is none.

    Raises:
        OutputError: it is damaged.
    """
    place = f"{SCANS}/{name}.json"
    text = to.read(place)
    return None if text is None else _parsed(to, place, text)


def _parsed(to: Destination, place: str, text: str) -> Record:
    try:
        return dict(json.loads(text))
    except (ValueError, TypeError) as error:
        raise OutputError(f"{to.place}/{place}", "is damaged", "remove it: its scan is done anew") from error


class Manifest:
    """The records of one place, in the order in which the scans were done. Each file is whole at any moment.

    Args:
        to: the place.
        settings: what must be the same for all its scans: ``model``, ``model_sha256``, ``organ``, ``format`` …
        inputs: what was given, and where each file of it ended.
        shard: which part of the scans this process does: ``shard`` (``K/N``), ``scans`` in it, ``of_scans`` in all, and
            what names their ``set``.
        index: draws the page that is written when this process leaves; None: no page.
    """

    def __init__(
        self,
        to: Destination,
        settings: Record,
        inputs: Sequence[Record] = (),
        shard: Record | None = None,
        index: IndexDrawer | None = None,
    ) -> None:
        self.to, self.settings, self.inputs = to, settings, {one["input"]: one for one in inputs}
        self.shard, self.shards, self.index = shard, dict[str, Record](), index
        self.entries: dict[str, Record] = {}
        self.statistics: dict[str, Record] = {}
        self._run, self._own, self._due = f"{time.time_ns():020}-{uuid4().hex}.json", list(self.inputs.values()), 0.0

    def take(self, record: Record) -> None:
        """Take in what is noted of a scan. The three files are written if they are due."""
        self._take(record)
        if time.monotonic() >= self._due:
            with self.to.alone() as mine:
                if mine:
                    self.write()

    @property
    def content(self) -> Record:
        """What ``manifest.json`` says."""
        shards = {"shards": list(self.shards.values())} if self.shards else {}
        inputs, scans = list(self.inputs.values()), list(self.entries.values())
        return {**self.settings, **shards, "inputs": inputs, "scans": scans}

    def begin(self, keep: bool) -> None:
        """Say from the start what was given, and write the three files.

        Args:
            keep: go on from what others left.

        Raises:
            OutputError: they had another model, other settings or another number of shards; their records are damaged.
        """
        if keep:
            self._load()
            self.collect()
            self._check_shard()
        else:
            self.to.forget()
        self._say_run(ended=False)
        self.write()

    def end(self) -> None:
        """Say that this process has done its part, and write the three files and the page."""
        self._say_run(ended=True)
        self.write()
        if self.index is not None:
            self.to.write(PAGE, self.index(self.content, list(self.statistics.values())))

    def write(self) -> None:
        """Write the three files of all records that there are now."""
        began = time.monotonic()
        self.collect()
        rows = list(self.statistics.values())
        self.to.write("statistics.csv", csv_text((*COLUMNS, *QUALITY), rows))
        self.to.write("statistics.json", json_text({**self.settings, "scans": rows}))
        self.to.write("manifest.json", json_text(self.content))
        now = time.monotonic()
        self._due = now + RARELY * (now - began)

    def collect(self) -> None:
        """Take in what other processes have noted."""
        for _, run in sorted(self._records(RUNS).items()):
            self._take_run(run)
        done = self._records(SCANS)
        for file in sorted(done, key=lambda file: str(done[file]["entry"]["finished"])):
            self._take(done[file])

    def holds_another(self, name: str, origin: Record) -> bool:
        """Say whether another scan was done under this name."""
        entry = self.entries.get(name)
        return entry is not None and entry["status"] == "done" and not same_scan(entry, origin)

    def is_done(self, name: str, files: tuple[str, ...], there: set[str] | None = None) -> bool:
        """Say whether a scan is done and its ``files`` (keys of an entry) are among those that are there."""
        entry = self.entries.get(name)
        if entry is None or entry["status"] != "done" or name not in self.statistics:
            return False
        there = self.to.files() if there is None else there
        return all(key in entry and entry[key] in there for key in files)

    def _take(self, record: Record) -> None:
        entry, statistics = record["entry"], record["statistics"]
        name = entry["name"]
        if entry["finished"] == self.entries.get(name, {}).get("finished", ""):
            return
        self.entries.pop(name, None)  # the order is that in which they were done
        self.entries[name] = entry
        self.statistics.pop(name, None)
        if statistics is not None:
            self.statistics[name] = {"name": name, **statistics}

    def _records(self, below: str) -> dict[str, Record]:
        return {file: _parsed(self.to, f"{below}/{file}", text) for file, text in self.to.read_all(below).items()}

    def _say_run(self, ended: bool) -> None:
        shard = {**self.shard, "ended": ended} if self.shard else None
        record = {"inputs": self._own, "shard": shard}
        self.to.write(f"{RUNS}/{self._run}", json_text(record))

    def _take_run(self, run: Record) -> None:
        self.inputs |= {one["input"]: one for one in run["inputs"]}
        if shard := run["shard"]:
            before = self.shards.get(shard["shard"])
            self.shards[shard["shard"]] = shard if before is None or shard["ended"] else before

    def _check_shard(self) -> None:
        """Hold the shards of one place together: all of one number, all of the same scans."""
        mine = self.shard
        if mine is None:
            return
        for other in self.shards.values():
            of, of_other = (one["shard"].split("/")[1] for one in (mine, other))
            if of != of_other:
                problem, remedy = f"was begun in {of_other} shards, not in {of}", f"say --shard K/{of_other}"
                raise OutputError(self.to.place, problem, f"{remedy}, or name another --out folder")
        for other in [one for one in self.shards.values() if one["set"] != mine["set"]][:1]:
            warn(
                f"shard {other['shard']} found {other['of_scans']} scans in all, this one {mine['of_scans']}, or other "
                "ones: a scan that only one of them finds may be in neither; give all shards the same inputs"
            )

    def _load(self) -> None:
        path = f"{self.to.place}/manifest.json"
        text = self.to.read("manifest.json")
        if text is None:
            return
        try:
            before = json.loads(text)
            figures = json.loads(self.to.read("statistics.json") or "")
            self.entries = {entry["name"]: {"finished": "", **entry} for entry in before["scans"]}
            self.inputs = {one["input"]: one for one in before.get("inputs", [])} | self.inputs
            self.statistics = {row["name"]: row for row in figures["scans"]}
            self.shards = {one["shard"]: one for one in before.get("shards", [])}
            other = [
                key for key in self.settings if key not in ("sammix", *MODEL) and before[key] != self.settings[key]
            ]
            model, model_before = _named(self.settings), _named(before)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise OutputError(path, "cannot be used by --skip-done", "name another --out folder") from error
        if _is_other_model(before, self.settings):
            raise OutputError(path, f"was made by {model_before}, not by {model}", "name another --out folder")
        if other:
            differs = ", ".join(f"{key} {before[key]}" for key in other)
            raise OutputError(path, f"was made with another {differs}", "name another --out folder")
        if (version := before.get("sammix")) != self.settings["sammix"]:
            versions = f"sammix {version}, not by {self.settings['sammix']}"
            warn(f"{path}: was written by {versions}; its masks are kept, though this version might make others")
        if self.settings["model_sha256"] and not before.get("model_sha256"):
            warn(f"{path}: does not say which content {model_before} had; its masks are kept, as the name is the same")


def _is_other_model(before: Record, now: Record) -> bool:
    """Compare models by their content where both are known, else by their names."""
    one, other = before.get("model_sha256"), now["model_sha256"]
    return bool(one != other if one and other else before["model"] != now["model"])


def _named(settings: Record) -> str:
    digest = settings.get("model_sha256")
    return f"model {settings['model']}" + (f" (SHA-256 {digest[:12]}…)" if digest else "")


def same_scan(entry: Record, origin: Record) -> bool:
    """Compare the input that is recorded with a scan's origin.

    Earlier versions recorded paths as they were given. Of a relative one, only the last name can be compared: the
    folder that it started from is not known.
    """
    if "://" in origin["input"]:
        return bool(entry["input"] == origin["input"])
    recorded, asked = Path(entry["input"]), Path(origin["input"])
    same_path = recorded.resolve() == asked if recorded.is_absolute() else recorded.name == asked.name
    both = entry.get("series"), origin.get("series")  # of a folder with one series, earlier versions recorded none
    return same_path and (None in both or both[0] == both[1])
