"""Find the scans to segment, each under a name of its own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sammix.errors import InputError
from sammix.io import Case, find_inputs


def find_scans(inputs: Sequence[Path], series: str | None = None) -> dict[str, Case]:
    """Find every scan in ``inputs``. Its name is its case's, with its folder's where two would be the same.

    Args:
        inputs: scans, folders, archives.
        series: a SeriesInstanceUID, to find that series alone.

    Raises:
        InputError: an input does not exist or holds no scan (of that series), or two names cannot be told apart.
    """
    scans: dict[str, Case] = {}
    for case in (case for given in inputs for case in find_inputs(given, series)):
        name = case.name if case.name not in scans else f"{case.image.resolve().parent.name}_{case.name}"
        if name in scans:
            other = scans[name].image
            raise InputError(case.image, f"would be written under the same name as {other}", "predict them apart")
        scans[name] = case
    if not scans:
        raise InputError(inputs[0], f"holds no scan of series {series}", "see which there are with `sammix info`")
    return scans


def origin(case: Case) -> dict[str, Any]:
    """Say which scan it is, for the manifest: its absolute path and, of a DICOM series, its UID.

    The path is absolute, so that the same scan is recognised from any working directory.
    """
    place = case.image.resolve() if case.inside is None else case.image.resolve() / case.inside
    return {"input": str(place), **({"series": case.series} if case.series else {})}
