"""Find where the slices of one CT scan lie: parallel, equal, evenly spaced, of one patient."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sammix.errors import InputError
from sammix.io.readers.dicom_headers import IDENTITY, SliceHeader
from sammix.io.volume import LPS_TO_RAS, Affine

Points = NDArray[np.float64]

GAP = 1.5
"""Times the usual step: a step of more than that is a gap."""

OFF_GRID = 0.5
"""Share of a step by which a slice may lie off the even grid. Beyond, a voxel of the mask is another slice's."""

NOTICED = 0.1
"""Share of a step from which on a slice off the grid is worth a warning: below it headers may have been rounded."""


def check_scan(headers: Sequence[SliceHeader], source: Path) -> None:
    """Refuse what is not the CT slices of one scan of one patient, naming the cause.

    Raises:
        InputError: a header without size, position or orientation; slices of two patients, studies or frames of
            reference; one SOPInstanceUID twice; sizes, orientations or spacings that differ.
    """
    for header in headers:
        check_slice(header)
    _check_identity(headers)
    for header in headers:
        if not same_grid(header, headers[0]):
            problem = f"has another size, orientation or pixel spacing than {headers[0].path.name} in {source.name}"
            raise InputError(header.path, problem, "keep the files of one scan only")


def stack(headers: Sequence[SliceHeader], source: Path) -> tuple[list[SliceHeader], Affine, tuple[str, ...]]:
    """Order slices along their normal; returns them, the affine of (column, row, slice) → RAS mm, and warnings.

    The order comes from the positions only; file names and instance numbers are not looked at. The affine has even
    steps: a slice may lie off it by half a step at most. Orientation and spacing are the medians: headers round.

    Raises:
        InputError: two slices at one position, missing slices, uneven steps, or a tilted gantry.
    """
    orientation = tuple(np.median([h.orientation for h in headers], axis=0).tolist())
    spacing = tuple(np.median([h.spacing for h in headers], axis=0).tolist())
    normal = np.cross(*np.array(orientation).reshape(2, 3))
    ordered = sorted(headers, key=lambda h: float(normal @ np.array(h.position)))
    positions = np.array([h.position for h in ordered])
    if len(ordered) == 1:
        step = headers[0].thickness or 1.0
        warnings: tuple[str, ...] = (f"one slice only; its thickness is taken as {step:g} mm",)
    else:
        step, warnings = _even_step(ordered, positions @ normal, source)
        _check_tilt(positions, normal, min(spacing), source)
    return ordered, lps_to_ras(orientation, spacing, normal * step, positions[0]), warnings


def same_grid(a: SliceHeader, b: SliceHeader) -> bool:
    """Tell whether two slices have the same pixels, but for the last digits in which programs round.

    Their sizes are the same, and their far corners, as seen from the near ones, less than half a pixel apart.
    """
    if a.shape != b.shape or _given(a) != _given(b):
        return False
    if _given(a) != (6, 2, 3):
        return True  # neither says where it lies, which is refused later
    apart = [np.linalg.norm(one - other) for one, other in zip(_edges(a), _edges(b), strict=True)]
    return bool(max(apart) < 0.5 * min(a.spacing))


def _given(header: SliceHeader) -> tuple[int, int, int]:
    """Count the numbers of its orientation, spacing and position: 6, 2 and 3 where all are there."""
    return len(header.orientation), len(header.spacing), len(header.position)


def _edges(header: SliceHeader) -> tuple[Points, Points]:
    """Give the vectors along a slice's first row and first column, mm."""
    row, column = np.array(header.orientation).reshape(2, 3)
    return row * header.spacing[1] * header.shape[1], column * header.spacing[0] * header.shape[0]


def lps_to_ras(orientation: tuple[float, ...], spacing: tuple[float, ...], step: Points, position: Points) -> Affine:
    """Convert DICOM's geometry to the affine of (column, row, slice) → RAS mm.

    Args:
        orientation, spacing: ImageOrientationPatient, PixelSpacing.
        step: (3,) from one slice to the next, mm in LPS.
        position: (3,) ImagePositionPatient of the first slice.
    """
    row_direction, column_direction = np.array(orientation).reshape(2, 3)
    between_rows, between_columns = spacing
    lps = np.eye(4)
    lps[:3, 0] = row_direction * between_columns
    lps[:3, 1] = column_direction * between_rows
    lps[:3, 2] = step
    lps[:3, 3] = position
    affine: Affine = LPS_TO_RAS @ lps
    return affine


def check_slice(header: SliceHeader) -> None:
    """Check one header by itself.

    Raises:
        InputError: it is no slice of a CT, or does not say where it lies.
    """
    path = header.path
    if not header.is_slice:
        raise InputError(path, f"is not a CT slice but: {header.kind}", "give a CT series")
    complete = {
        "Rows and Columns": min(header.shape) > 0,
        "ImageOrientationPatient": len(header.orientation) == 6 and perpendicular(header.orientation),
        "ImagePositionPatient": len(header.position) == 3 and all(map(isfinite, header.position)),
        "PixelSpacing": len(header.spacing) == 2 and all(0 < s < 100 for s in header.spacing),
    }
    missing = [tag for tag, present in complete.items() if not present]
    if missing:
        raise InputError(path, f"has no valid {', '.join(missing)}", "export the original series again")


def perpendicular(orientation: tuple[float, ...]) -> bool:
    """Tell whether an ImageOrientationPatient is two unit vectors at a right angle."""
    row, column = np.array(orientation).reshape(2, 3)
    return bool(np.allclose([row @ row, column @ column, row @ column], [1, 1, 0], atol=1e-2))


def _check_identity(headers: Sequence[SliceHeader]) -> None:
    """Refuse slices of two patients, studies, series or frames of reference, and one slice twice. No value is shown."""
    for header in headers:
        if header.series != headers[0].series:
            problem = (
                f"has another SeriesInstanceUID than {headers[0].path}, though each file is one slice of one stack"
            )
            raise InputError(header.path, problem, "export the series again: some anonymisers give each file its own")
    for place, tag in enumerate(IDENTITY):
        first = next((h for h in headers if h.identity[place]), headers[0])
        for header in headers:
            if header.identity[place] not in ("", first.identity[place]):
                problem = f"has another {tag} than {first.path}, in one series"
                raise InputError(header.path, problem, "keep the files of one patient and study, or export them again")
    files: dict[str, Path] = {}
    for header in headers:
        other = files.setdefault(header.instance or str(header.path), header.path)
        if other != header.path:
            problem = f"has the same SOPInstanceUID as {other}"
            raise InputError(header.path, problem, "keep one copy of each slice, or export the series again")


def _even_step(ordered: Sequence[SliceHeader], heights: Points, source: Path) -> tuple[float, tuple[str, ...]]:
    """Find the even step (mm) nearest to the slices' ``heights`` along the normal, ascending; and warnings.

    Raises:
        InputError: two slices share a place, slices are missing, or one lies too far off the even grid.
    """
    steps = np.diff(heights)
    usual = float(np.sort(steps)[(len(steps) - 1) // 2])  # the lower median: of two, the one without the gap
    copies = steps < max(0.01, NOTICED * usual)
    if copies.any():
        first = int(np.argmax(copies))
        names = " and ".join(h.path.name for h in ordered[first : first + 2])
        problem = f"{int(copies.sum())} slices share their position with another (first: {names})"
        raise InputError(source, problem, "keep one phase, and one copy of each slice")
    widest = int(np.argmax(steps))
    if steps[widest] > GAP * usual:
        problem = (
            f"slices are missing or mixed: a gap of {steps[widest]:.2f} mm between {heights[widest]:.2f} and "
            f"{heights[widest + 1]:.2f} mm along the stack, where {usual:.2f} mm is usual"
        )
        raise InputError(source, problem, "export the whole series again, or resample it")
    step = float(heights[-1] - heights[0]) / (len(heights) - 1)
    off = np.abs(heights - heights[0] - step * np.arange(len(heights)))
    worst = int(np.argmax(off))
    if off[worst] > OFF_GRID * step:
        problem = (
            f"its slices are not evenly spaced (steps of {steps.min():.2f} to {steps.max():.2f} mm): "
            f"{ordered[worst].path.name} lies {off[worst]:.2f} mm off the even grid of {step:.2f} mm"
        )
        raise InputError(source, problem, "export each part of even steps by itself, or resample it")
    if off[worst] > NOTICED * step:
        return step, (
            f"its slices lie up to {off[worst]:.2f} mm off an even grid of {step:.2f} mm (steps of {steps.min():.2f} "
            f"to {steps.max():.2f} mm); a NIfTI mask has the even grid",
        )
    return step, ()


def _check_tilt(positions: Points, normal: Points, pixel: float, source: Path) -> None:
    """Refuse slices that are not straight above the first: a sideways drift over the stack is a tilted gantry."""
    along = positions - positions[0]
    heights = along @ normal
    drifts = np.linalg.norm(along - np.outer(heights, normal), axis=1)
    worst = int(np.argmax(drifts))
    if drifts[worst] > 0.5 * pixel:
        tilt = np.degrees(np.arctan2(drifts[worst], heights[worst]))
        problem = f"the gantry is tilted by {tilt:.1f}° (slices drift {drifts[worst]:.1f} mm sideways)"
        raise InputError(source, problem, "correct the tilt first, e.g. by converting with dcm2niix")
