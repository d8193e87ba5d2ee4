"""Find which DICOM headers are one CT series (parallel, equal, evenly spaced slices), and where they lie."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sammix.errors import InputError
from sammix.io.volume import LPS_TO_RAS, Affine

Points = NDArray[np.float64]

CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
ENHANCED_CT = {"1.2.840.10008.5.1.4.1.1.2.1", "1.2.840.10008.5.1.4.1.1.2.2"}
"""Enhanced CT, and legacy CT that was converted to it: many frames a file."""

NOT_IMAGES = {"SEG", "RTSTRUCT", "RTPLAN", "RTDOSE", "SR", "PR", "KO", "REG", "DOC"}
"""Modalities of DICOM objects that lie beside a scan without being one."""

MODALITIES = NOT_IMAGES | {"CT", "MR", "PT", "NM", "CR", "DX", "US", "XA", "RF", "MG", "OT"}
"""What is shown of a Modality: anything else could be a name."""

UNEVEN = 0.1
"""Share of the usual step by which one step may differ (headers round positions)."""


@dataclass(frozen=True)
class SliceHeader:
    """What of a DICOM header is needed to place a slice.

    ``frame`` counts from 0 in a multi-frame file. ``orientation`` is ImageOrientationPatient (row direction, column
    direction) and ``position`` ImagePositionPatient (mm, LPS); ``spacing`` is PixelSpacing (between rows, between
    columns; mm). HU = ``slope`` × stored + ``intercept``, but for the stored values in ``padding`` (from, to).
    ``description`` is free text in which a patient may be named: it is for ``sammix info`` alone.
    """

    path: Path
    frame: int
    study: str
    series: str
    number: int
    description: str
    modality: str
    localizer: bool
    sop_class: str
    frames: int
    samples: int
    shape: tuple[int, int]
    orientation: tuple[float, ...]
    position: tuple[float, ...]
    spacing: tuple[float, ...]
    thickness: float | None
    slope: float
    intercept: float
    padding: tuple[int, int] | None

    @property
    def is_scan(self) -> bool:
        """Whether it can be a slice of a CT at all: not a scout view, a report or another modality."""
        return self.modality == "CT" and self.sop_class in (CT_IMAGE, *ENHANCED_CT, "") and not self.localizer


def group_series(headers: Sequence[SliceHeader]) -> dict[str, list[SliceHeader]]:
    """Group headers by SeriesInstanceUID, ordered by study, series number and UID, whatever the files' names."""
    groups: dict[str, list[SliceHeader]] = {}
    for header in sorted(headers, key=lambda h: (h.study, h.number, h.series)):
        groups.setdefault(header.series, []).append(header)
    return groups


def scans_among(groups: dict[str, list[SliceHeader]]) -> list[str]:
    """Select the series that may be CT scans, not a scout view, another modality or a report beside them."""
    return [uid for uid, group in groups.items() if group[0].is_scan]


def choose_series(groups: dict[str, list[SliceHeader]], source: Path, series: str | None) -> list[SliceHeader]:
    """Choose the series that is meant: the one named, else the only one, else the only one that is CT.

    Raises:
        InputError: none is called ``series``; several could be meant.
    """
    scans = scans_among(groups)
    if series is None and (len(groups) == 1 or len(scans) == 1):
        series = next(iter(scans or groups))
    if series is not None and series in groups:
        return groups[series]
    listed = "; ".join(f"{uid or 'without UID'} ({series_kind(group)})" for uid, group in groups.items())
    if series is not None:
        raise InputError(source, f"holds no series {series}", f"choose one of {listed}")
    raise InputError(
        source, f"holds {len(groups)} series: {listed}", "keep one in the folder, or choose with --series UID"
    )


def left_out(groups: dict[str, list[SliceHeader]], chosen: list[SliceHeader]) -> tuple[str, ...]:
    """Warn of the images beside a scan that are no scans. Reports and masks go without saying."""
    scans = scans_among(groups)
    beside = [group for uid, group in groups.items() if uid not in scans and group is not chosen]
    images = [series_kind(group) for group in beside if group[0].modality not in NOT_IMAGES]
    return (f"other images in its folder are left out: {'; '.join(images)}",) if images else ()


def series_kind(group: Sequence[SliceHeader]) -> str:
    """Describe modality and size in words that name no patient: ``CT, 78 slices``."""
    return f"{_kind(group[0])}, {len(group)} {'slice' if len(group) == 1 else 'slices'}"


def _kind(header: SliceHeader) -> str:
    return "scout view" if header.localizer else header.modality if header.modality in MODALITIES else "other"


def check_ct(headers: Sequence[SliceHeader], source: Path) -> None:
    """Refuse whatever is not the CT slices of one scan, naming the cause.

    Raises:
        InputError: another modality or object than CT; colours; a header without size, position or
            orientation; sizes, orientations or spacings that differ.
    """
    for header in headers:
        _check_slice(header)
    _check_same(headers, source, "sizes", lambda h: f"{h.shape[0]} × {h.shape[1]}")
    _check_same(headers, source, "pixel spacings", lambda h: tuple(round(s, 4) for s in h.spacing))
    _check_same(headers, source, "orientations", lambda h: tuple(round(c, 3) + 0.0 for c in h.orientation))


def stack(headers: Sequence[SliceHeader], source: Path) -> tuple[list[SliceHeader], Affine, tuple[str, ...]]:
    """Order slices along their normal; returns them, the affine of (column, row, slice) → RAS mm, and warnings.

    The order comes from the positions only; file names and instance numbers are not looked at.

    Raises:
        InputError: two slices at one position, missing slices, or a tilted gantry.
    """
    normal = np.cross(*np.array(headers[0].orientation).reshape(2, 3))
    ordered = sorted(headers, key=lambda h: float(normal @ np.array(h.position)))
    positions = np.array([h.position for h in ordered])
    if len(ordered) == 1:
        step = headers[0].thickness or 1.0
        warnings: tuple[str, ...] = (f"one slice only; its thickness is taken as {step:g} mm",)
    else:
        _check_steps(ordered, positions @ normal, source)
        _check_tilt(positions, normal, min(headers[0].spacing), source)
        step, warnings = float((positions[-1] - positions[0]) @ normal) / (len(ordered) - 1), ()
    return ordered, lps_to_ras(headers[0].orientation, headers[0].spacing, normal * step, positions[0]), warnings


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


def _check_slice(header: SliceHeader) -> None:
    """Check one header by itself."""
    path = header.path
    if header.modality != "CT":
        problem = f"is not CT but {_kind(header) if header.modality else 'of no stated modality'}"
        raise InputError(path, problem, "give a CT series")
    if header.frames > 1 and header.sop_class not in ENHANCED_CT:
        problem = f"is a multi-frame DICOM object ({header.frames} frames), but no enhanced CT"
        raise InputError(path, problem, "convert it to NIfTI or to one file a slice")
    if header.sop_class not in (CT_IMAGE, *ENHANCED_CT, ""):
        raise InputError(path, f"is not a CT image (SOP class {header.sop_class})", "give a CT series")
    if header.samples != 1:
        raise InputError(path, "is a colour picture, not CT values", "remove it from the folder")
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
    """Refuse uneven steps along the normal; ``heights`` are in mm, ascending."""
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
    """Refuse slices that are not straight above the first: a sideways drift over the stack is a tilted gantry."""
    along = positions - positions[0]
    heights = along @ normal
    drifts = np.linalg.norm(along - np.outer(heights, normal), axis=1)
    worst = int(np.argmax(drifts))
    if drifts[worst] > 0.5 * pixel:
        tilt = np.degrees(np.arctan2(drifts[worst], heights[worst]))
        problem = f"the gantry is tilted by {tilt:.1f}° (slices drift {drifts[worst]:.1f} mm sideways)"
        raise InputError(source, problem, "correct the tilt first, e.g. by converting with dcm2niix")
