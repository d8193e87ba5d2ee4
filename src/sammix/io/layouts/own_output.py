"""Know what ``predict`` has left in a folder: it is no input."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from sammix.errors import InputError
from sammix.io.limits import check_text


@dataclass(frozen=True)
class OwnOutput:
    """What a folder's ``manifest.json`` says.

    Attributes:
        files: the names of the masks and pictures in it.
        has_inputs: whether scans that were segmented lie in this very folder.
    """

    files: frozenset[str]
    has_inputs: bool


def own_output(folder: Path) -> OwnOutput | None:
    """Read what ``predict`` left in a folder; None where it left nothing that can be known."""
    path = folder / "manifest.json"
    if not path.is_file():
        return None
    try:
        check_text(path)
        manifest = json.loads(path.read_text(encoding="utf-8"))
        if "sammix" not in manifest:
            return None
        entries = list(manifest["scans"])
        files = {str(entry[key]) for entry in entries for key in ("mask", "preview") if entry.get(key)}
        inputs = [Path(str(entry["input"])) for entry in entries if entry.get("input")]
    except (InputError, OSError, ValueError, RecursionError, KeyError, TypeError, AttributeError):
        return None  # some other program's
    here = folder.resolve()
    return OwnOutput(frozenset(files), any(here == one.parent for one in inputs))
