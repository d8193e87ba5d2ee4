"""Keep what ``predict`` leaves beside the masks: ``manifest.json``, ``statistics.json``, ``statistics.csv``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from sammix.errors import InputError, OutputError
from sammix.files import write_csv, write_json
from sammix.log import warn

MODEL = ("model", "model_sha256")
COLUMNS = ("name", "volume_ml", "hu_mean", "hu_sd", "z_extent_mm", "slices_with_organ", "confidence")

Record = dict[str, Any]


class Manifest:
    """An output folder's records, in the order in which the scans were done. Each file is whole at any moment.

    Args:
        out: the folder.
        settings: what must be the same for all its scans: ``model``, ``model_sha256``, ``organ``, ``format`` …
        keep: go on from what an earlier run left.

    Raises:
        OutputError: an earlier run had another model or other settings, or its records are damaged.
    """

    def __init__(self, out: Path, settings: Record, keep: bool) -> None:
        self.out, self.settings = out, settings
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
        self.out.mkdir(parents=True, exist_ok=True)
        rows = list(self.statistics.values())
        write_csv(self.out / "statistics.csv", COLUMNS, rows)
        write_json(self.out / "statistics.json", {**self.settings, "scans": rows})
        write_json(self.out / "manifest.json", {**self.settings, "scans": list(self.entries.values())})

    def is_done(self, name: str, origin: Record, files: tuple[str, ...]) -> bool:
        """Say whether an earlier run did this very scan and its ``files`` (keys of an entry) are still there.

        Raises:
            InputError: another scan was done under this name.
        """
        entry = self.entries.get(name)
        if entry is None or entry["status"] != "done":
            return False
        if not _is_same_scan(entry, origin):
            problem = f"would be written under the same name as {entry['input']}, which is done"
            raise InputError(origin["input"], problem, "name another --out folder")
        return name in self.statistics and all(key in entry and (self.out / entry[key]).is_file() for key in files)

    def _load(self) -> None:
        path = self.out / "manifest.json"
        try:
            before = json.loads(path.read_text(encoding="utf-8"))
            figures = json.loads((self.out / "statistics.json").read_text(encoding="utf-8"))
            self.entries = {entry["name"]: entry for entry in before["scans"]}
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
    return same_path and entry.get("series") == origin.get("series")
