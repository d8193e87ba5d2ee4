"""A DICOM Segmentation, by whatever program → a mask where its frames lie."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray

from sammix.errors import InputError
from sammix.io.label_names import shows
from sammix.io.limits import check_size
from sammix.io.readers.dicom_files import functional, guarded, is_dicom_file, numbers, read_object
from sammix.io.readers.dicom_series import lps_to_ras, perpendicular
from sammix.io.volume import Volume

SEGMENTATION, LABEL_MAP = "1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7"

OFF_STEP = 0.1
"""Share of a step by which a frame may lie off the even stack."""


@dataclass(frozen=True)
class _Frame:
    segment: int  # 0 in a label map, whose frames hold the segments' numbers themselves
    position: tuple[float, ...]
    orientation: tuple[float, ...]
    spacing: tuple[float, ...]
    step: float  # mm, as the file says it; 0 where it does not


def is_segmentation(path: Path) -> bool:
    """Tell whether a file is a DICOM Segmentation."""
    if not (path.is_file() and is_dicom_file(path)):
        return False
    try:
        with guarded(path):
            header = read_object(path, stop_before_pixels=True, specific_tags=["SOPClassUID"])
            return header.get("SOPClassUID") in (SEGMENTATION, LABEL_MAP)
    except InputError:  # whoever reads it will say so
        return False


def segments_called(path: Path, organ: str) -> tuple[int, ...]:
    """Find the numbers of the segments whose label or coded type names the organ; all, where there is only one.

    Raises:
        InputError: damaged.
    """
    with guarded(path):
        segments = _segments(path)
        if len(segments) == 1:
            return (int(segments[0].SegmentNumber),)
        return tuple(int(s.SegmentNumber) for s in segments if any(shows(name, organ) for name in _names(s)))


def segment_names(path: Path) -> tuple[str, ...]:
    """List its segments' labels, each with its coded type.

    Raises:
        InputError: damaged.
    """
    with guarded(path):
        return tuple(" ".join(_names(segment)) for segment in _segments(path))


def segments_named(path: Path, labels: tuple[int | str, ...] | None) -> tuple[int, ...] | None:
    """Find the numbers of segments that are given by number or by label; None, for all, stays None.

    Raises:
        InputError: damaged.
    """
    if labels is None:
        return None
    asked = {label.lower() for label in labels if isinstance(label, str)}
    numbers = tuple(label for label in labels if isinstance(label, int))
    if not asked:
        return numbers
    with guarded(path):
        named = [s for s in _segments(path) if asked & {name.lower() for name in _names(s)}]
        return numbers + tuple(int(segment.SegmentNumber) for segment in named)


def _segments(path: Path) -> list[Any]:
    return list(read_object(path, stop_before_pixels=True, specific_tags=["SegmentSequence"]).SegmentSequence)


def describe_segments(path: Path) -> str:
    """Describe its segments and its size in a line each, for the user.

    Raises:
        InputError: damaged, or frames that are no even, parallel stack.
    """
    with guarded(path):
        data = read_object(path, stop_before_pixels=True)
        frames = _frames(path, data)
        places, affine = _stack(path, frames)
        spacing = " × ".join(f"{mm:.3g}" for mm in np.linalg.norm(affine[:3, :3], axis=0))
        lines = [f"DICOM segmentation: {data.Columns} × {data.Rows} × {max(places) + 1} voxels, {spacing} mm"]
        for segment in data.SegmentSequence:
            label, kind = _names(segment)
            lines.append(f"segment {segment.SegmentNumber}: “{label}” ({kind})")
    return "\n".join([*lines, "a mask: lay it beside its series, as PATIENT/ORGAN.dcm or NAME_seg.dcm"])


def read_segmentation(path: str | Path, segments: tuple[int, ...] | None = None) -> Volume:
    """Read some segments as uint8 0/1: (column, row, slice), from the first frame's place to the last's.

    Frames that the file leaves out are empty, as the standard says. A fractional segmentation counts from half
    of its maximum on.

    Args:
        path: one DICOM file.
        segments: their numbers; None takes all.

    Raises:
        InputError: damaged; no such segment; frames that are no even, parallel stack.
    """
    path = Path(path)
    with guarded(path):
        data = read_object(path)
        frames = _frames(path, data)
        there = sorted(int(segment.SegmentNumber) for segment in data.SegmentSequence)
        chosen = there if segments is None else [number for number in segments if number in there]
        if not chosen:
            raise InputError(path, f"has segments {there}, none of which is meant", "name the organ as the file does")
        places, affine = _stack(path, frames)
        shape = (int(data.Columns), int(data.Rows), max(places) + 1)
        check_size(path, shape, 0)
        pixels = data.pixel_array.reshape(len(frames), shape[1], shape[0])
        mask = np.zeros(shape[::-1], np.uint8)
        for frame, place, plane in zip(frames, places, pixels, strict=True):
            if frame.segment in (0, *chosen):
                mask[place] |= _marked(data, plane, chosen)
    return Volume(mask.transpose(2, 1, 0), affine, path)


def _frames(path: Path, data: Any) -> list[_Frame]:
    if data.get("SOPClassUID") not in (SEGMENTATION, LABEL_MAP):
        raise InputError(path, "is DICOM, but no segmentation", "give a DICOM-SEG")
    shared = (data.get("SharedFunctionalGroupsSequence") or [pydicom.Dataset()])[0]
    frames = []
    for own in data.PerFrameFunctionalGroupsSequence:
        orientation = numbers(functional(own, shared, "PlaneOrientationSequence", "ImageOrientationPatient"))
        position = numbers(functional(own, shared, "PlanePositionSequence", "ImagePositionPatient"))
        spacing = numbers(functional(own, shared, "PixelMeasuresSequence", "PixelSpacing"))
        if (len(position), len(orientation), len(spacing)) != (3, 6, 2) or not perpendicular(orientation):
            raise InputError(path, "does not say where its frames lie in the patient", "export it again")
        step = functional(own, shared, "PixelMeasuresSequence", "SpacingBetweenSlices")
        segment = functional(own, shared, "SegmentIdentificationSequence", "ReferencedSegmentNumber")
        frames.append(_Frame(int(segment or 0), position, orientation, spacing, abs(float(step or 0))))
    if {(frame.orientation, frame.spacing) for frame in frames} != {(frames[0].orientation, frames[0].spacing)}:
        raise InputError(path, "its frames differ in orientation or spacing", "export each part by itself")
    return frames


def _stack(path: Path, frames: Sequence[_Frame]) -> tuple[list[int], NDArray[np.float64]]:
    """Find each frame's place on an even stack, and the stack's affine to RAS mm.

    Frames may be left out. The step is the one that the file states; where the frames do not fit that, their mean
    distance; then the smallest. highdicom's own reader takes the stated one alone, though many programs write the
    slices' thickness there.
    """
    from highdicom.spatial import get_volume_positions

    positions = np.array([frame.position for frame in frames]).round(3)  # mm: headers round
    orientation, spacing = frames[0].orientation, frames[0].spacing
    places: list[int] | None = None
    for stated, gaps in ((frames[0].step or None, True), (None, False), (None, True)):
        _, places = get_volume_positions(
            positions.tolist(),
            orientation,
            spacing_hint=stated,
            allow_missing_positions=gaps,
            allow_duplicate_positions=True,
            rtol=OFF_STEP,
            perpendicular_tol=1.0,  # judged below, in mm
            index_convention="RD",
        )
        if places is not None:
            break
    normal = np.cross(orientation[:3], orientation[3:])
    along = np.outer(positions @ normal, normal)
    if places is None or np.ptp(positions - along, axis=0).max() > 0.5 * min(spacing):
        raise InputError(path, "its frames are not evenly spaced along their normal", "export it again, or resample it")
    first, last = places.index(0), places.index(max(places))
    step = (along[last] - along[first]) / places[last] if places[last] else normal  # the whole stack says it best
    return places, lps_to_ras(orientation, spacing, step, positions[first])


def _marked(data: Any, plane: NDArray[Any], chosen: Sequence[int]) -> NDArray[np.bool_]:
    if data.SOPClassUID == LABEL_MAP:
        return np.isin(plane, chosen)
    if data.get("SegmentationType") == "FRACTIONAL":
        half: NDArray[np.bool_] = plane >= float(data.get("MaximumFractionalValue", 255)) / 2
        return half
    marked: NDArray[np.bool_] = plane > 0
    return marked


def _names(segment: Any) -> list[str]:
    kind = segment.get("SegmentedPropertyTypeCodeSequence") or [pydicom.Dataset()]
    sides = kind[0].get("SegmentedPropertyTypeModifierCodeSequence") or []
    meaning = " ".join(str(code.get("CodeMeaning", "")) for code in (kind[0], *sides))
    return [str(segment.get("SegmentLabel", "")), meaning]
