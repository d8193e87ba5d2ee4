"""Are these DICOM headers one CT series: parallel, equal, evenly spaced slices? And where do they lie?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sammix.errors import InputError
from sammix.volume import Affine

Points = NDArray[np.float64]

CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
ENHANCED_CT = {"1.2.840.10008.5.1.4.1.1.2.1", "1.2.840.10008.5.1.4.1.1.2.2"}

UNEVEN = 0.1
"""Share of the usual step by which one step may differ (headers round positions)."""


@dataclass(frozen=True)
class SliceHeader:
    """What of a DICOM header is needed to place a slice. Nothing in it names a patient.

    ``orientation`` is ImageOrientationPatient (row direction, column direction) and ``position``
    ImagePositionPatient (mm, LPS); ``spacing`` is PixelSpacing (between rows, between columns; mm).
    """

    path: Path
    series: str
    description: str
    modality: str
    sop_class: str
    frames: int
    samples: int
    shape: tuple[int, int]
    orientation: tuple[float, ...]
    position: tuple[float, ...]
    spacing: tuple[float, ...]
    thickness: float | None


def check_ct(headers: Sequence[SliceHeader], source: Path) -> None:
    """Refuse whatever is not one series of single-frame CT slices, naming the cause.

    Raises:
        InputError: several series; another modality or object than CT; many frames in a file; colours; a
            header without size, position or orientation; sizes, orientations or spacings that differ.
    """
    _check_one_series(headers, source)
    for header in headers:
        _check_slice(header)
    _check_same(headers, source, "sizes", lambda h: f"{h.shape[0]} × {h.shape[1]}")
    _check_same(headers, source, "pixel spacings", lambda h: tuple(round(s, 4) for s in h.spacing))
    _check_same(headers, source, "orientations", lambda h: tuple(round(c, 3) + 0.0 for c in h.orientation))


def stack(headers: Sequence[SliceHeader], source: Path) -> tuple[list[SliceHeader], Affine, tuple[str, ...]]:
    """The slices in order along their normal, the affine of (column, row, slice) → RAS mm, and warnings.

    The order comes from the positions only; file names and instance numbers are not looked at.

    Raises:
        InputError: two slices at one position, missing slices, or a tilted gantry.
    """
    row_direction, column_direction = np.array(headers[0].orientation).reshape(2, 3)
    normal = np.cross(row_direction, column_direction)
    ordered = sorted(headers, key=lambda h: float(normal @ np.array(h.position)))
    positions = np.array([h.position for h in ordered])
    if len(ordered) == 1:
        step = headers[0].thickness or 1.0
        warnings: tuple[str, ...] = (f"one slice only; its thickness is taken as {step:g} mm",)
    else:
        _check_steps(ordered, positions @ normal, source)
        _check_tilt(positions, normal, min(headers[0].spacing), source)
        step, warnings = float((positions[-1] - positions[0]) @ normal) / (len(ordered) - 1), ()
    between_rows, between_columns = headers[0].spacing
    lps = np.eye(4)
    lps[:3, 0] = row_direction * between_columns
    lps[:3, 1] = column_direction * between_rows
    lps[:3, 2] = normal * step
    lps[:3, 3] = positions[0]
    return ordered, np.diag([-1.0, -1.0, 1.0, 1.0]) @ lps, warnings


def _check_one_series(headers: Sequence[SliceHeader], source: Path) -> None:
    series = Counter((h.series, h.description, h.modality) for h in headers)
    if len({uid for uid, _, _ in series}) > 1:
        listed = "; ".join(f"“{text}” ({modality}, {n} files)" for (_, text, modality), n in series.items())
        problem = f"holds {len(series)} series: {listed}"
        raise InputError(source, problem, "put each series in a folder of its own and give one of them")


def _check_slice(header: SliceHeader) -> None:
    """One header by itself."""
    path = header.path
    if header.modality != "CT":
        problem = f"is not CT but {header.modality or 'of no stated modality'}"
        raise InputError(path, problem, "give a CT series")
    if header.sop_class in ENHANCED_CT or header.frames > 1:
        problem = f"is a multi-frame DICOM object ({header.frames} frames)"
        raise InputError(path, problem, "convert it to NIfTI or to one file a slice")
    if header.sop_class not in (CT_IMAGE, ""):
        raise InputError(path, f"is not a CT image (SOP class {header.sop_class})", "give a CT series")
    if header.samples != 1:
        raise InputError(path, "is a colour picture, not CT values", "remove it from the folder")
    complete = {
        "Rows and Columns": min(header.shape) > 0,
        "ImageOrientationPatient": len(header.orientation) == 6 and _perpendicular(header.orientation),
        "ImagePositionPatient": len(header.position) == 3 and all(map(isfinite, header.position)),
        "PixelSpacing": len(header.spacing) == 2 and all(0 < s < 100 for s in header.spacing),
    }
    missing = [tag for tag, present in complete.items() if not present]
    if missing:
        raise InputError(path, f"has no valid {', '.join(missing)}", "export the original series again")


def _perpendicular(orientation: tuple[float, ...]) -> bool:
    row, column = np.array(orientation).reshape(2, 3)
    return bool(np.allclose([row @ row, column @ column, row @ column], [1, 1, 0], atol=1e-2))


def _check_same(
    headers: Sequence[SliceHeader],
    source: Path,
    what: str,
    of: Callable[[SliceHeader], Hashable],
) -> None:
    values = Counter(of(h) for h in headers)
    if len(values) > 1:
        listed = ", ".join(f"{value} ({n} files)" for value, n in values.most_common(3))
        problem = f"its slices have different {what}: {listed}"
        raise InputError(source, problem, "keep the files of one scan only")


def _check_steps(ordered: Sequence[SliceHeader], heights: Points, source: Path) -> None:
    """Even steps along the normal; ``heights`` are in mm, ascending."""
    steps = np.diff(heights)
    usual = float(np.median(steps))
    copies = steps < max(0.01, UNEVEN * usual)
    if copies.any():
        first = int(np.argmax(copies))
        names = " and ".join(h.path.name for h in ordered[first : first + 2])
        problem = f"{int(copies.sum())} slices share their position with another (first: {names})"
        raise InputError(source, problem, "keep one phase, and one copy of each slice")
    worst = int(np.argmax(np.abs(steps - usual)))
    if abs(steps[worst] - usual) > UNEVEN * usual:
        problem = (
            f"slices are missing or mixed: a gap of {steps[worst]:.2f} mm between {heights[worst]:.2f} and "
            f"{heights[worst + 1]:.2f} mm along the stack, where {usual:.2f} mm is usual"
        )
        raise InputError(source, problem, "export the whole series again, or resample it")


def _check_tilt(positions: Points, normal: Points, pixel: float, source: Path) -> None:
    """Each slice straight above the first: a sideways drift over the stack is a tilted gantry."""
    along = positions - positions[0]
    heights = along @ normal
    drifts = np.linalg.norm(along - np.outer(heights, normal), axis=1)
    worst = int(np.argmax(drifts))
    if drifts[worst] > 0.5 * pixel:
        tilt = np.degrees(np.arctan2(drifts[worst], heights[worst]))
        problem = f"the gantry is tilted by {tilt:.1f}° (slices drift {drifts[worst]:.1f} mm sideways)"
        raise InputError(source, problem, "correct the tilt first, e.g. by converting with dcm2niix")
