"""Keep what ``predict`` leaves beside the masks: ``manifest.json``, ``statistics.json``, ``statistics.csv``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sammix.errors import OutputError
from sammix.files import write_csv, write_json
from sammix.log import warn

MODEL = ("model", "model_sha256")
COLUMNS = ("name", "volume_ml", "hu_mean", "hu_sd", "z_extent_mm", "slices_with_organ", "confidence")
QUALITY = ("expected_dice", "expected_dice_low", "expected_dice_high", "look")

Record = dict[str, Any]


class Manifest:
    """An output folder's records, in the order in which the scans were done. Each file is whole at any moment.

    Args:
        out: the folder.
        settings: what must be the same for all its scans: ``model``, ``model_sha256``, ``organ``, ``format`` …
        keep: go on from what an earlier run left.
        inputs: what was given, and where each file of it ended.

    Raises:
        OutputError: an earlier run had another model or other settings, or its records are damaged.
    """

    def __init__(self, out: Path, settings: Record, keep: bool, inputs: Sequence[Record] = ()) -> None:
        self.out, self.settings, self.inputs = out, settings, {one["input"]: one for one in inputs}
        self.entries: dict[str, Record] = {}
        self.statistics: dict[str, Record] = {}
        if keep and (out / "manifest.json").exists():
            self._load()

    def add(self, name: str, entry: Record, statistics: Record | None) -> None:
        """Note a scan, done or failed, and write all files."""
        self.entries[name] = {"name": name, **entry}
        self.statistics.pop(name, None)
        if statistics is not None:
            self.statistics[name] = {"name": name, **statistics}
        self.write()

    def write(self) -> None:
        """Write all files as they are now."""
        self.out.mkdir(parents=True, exist_ok=True)
        rows = list(self.statistics.values())
        write_csv(self.out / "statistics.csv", (*COLUMNS, *QUALITY), rows)
        write_json(self.out / "statistics.json", {**self.settings, "scans": rows})
        inputs, scans = list(self.inputs.values()), list(self.entries.values())
        write_json(self.out / "manifest.json", {**self.settings, "inputs": inputs, "scans": scans})

    def holds_another(self, name: str, origin: Record) -> bool:
        """Say whether an earlier run did another scan under this name."""
        entry = self.entries.get(name)
        return entry is not None and entry["status"] == "done" and not _is_same_scan(entry, origin)

    def is_done(self, name: str, files: tuple[str, ...]) -> bool:
        """Say whether an earlier run did this scan and its ``files`` (keys of an entry) are still there."""
        entry = self.entries.get(name)
        if entry is None or entry["status"] != "done":
            return False
        return name in self.statistics and all(key in entry and (self.out / entry[key]).is_file() for key in files)

    def _load(self) -> None:
        path = self.out / "manifest.json"
        try:
            before = json.loads(path.read_text(encoding="utf-8"))
            figures = json.loads((self.out / "statistics.json").read_text(encoding="utf-8"))
            self.entries = {entry["name"]: entry for entry in before["scans"]}
            self.inputs = {one["input"]: one for one in before.get("inputs", [])} | self.inputs
            self.statistics = {row["name"]: row for row in figures["scans"]}
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
        if self.settings["model_sha256"] and not before.get("model_sha256"):
            warn(f"{path}: does not say which content {model_before} had; its masks are kept, as the name is the same")


def _is_other_model(before: Record, now: Record) -> bool:
    """Compare models by their content where both are known, else by their names."""
    one, other = before.get("model_sha256"), now["model_sha256"]
    return bool(one != other if one and other else before["model"] != now["model"])


def _named(settings: Record) -> str:
    digest = settings.get("model_sha256")
    return f"model {settings['model']}" + (f" (SHA-256 {digest[:12]}…)" if digest else "")


def _is_same_scan(entry: Record, origin: Record) -> bool:
    """Compare the recorded input with a scan's origin.

    Earlier versions recorded paths as they were given. Of a relative one, only the last name can be compared: the
    folder that it started from is not known.
    """
    recorded, asked = Path(entry["input"]), Path(origin["input"])
    same_path = recorded.resolve() == asked if recorded.is_absolute() else recorded.name == asked.name
    both = entry.get("series"), origin.get("series")  # of a folder with one series, earlier versions recorded none
    return same_path and (None in both or both[0] == both[1])
