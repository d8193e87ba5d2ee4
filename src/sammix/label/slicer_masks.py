"""What 3D Slicer draws, as masks of slices: which segment means what, and whether it lies on the scan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sammix.errors import InputError
from sammix.io.label_names import shows, shows_other
from sammix.io.readers.formats import ITK, NIFTI, has_suffix, read_labels
from sammix.io.readers.itk_header import read_header
from sammix.io.readers.label_values import whole_numbers
from sammix.io.readers.mask import placed
from sammix.io.readers.slicer_header import is_slicer_segmentation, slicer_segments
from sammix.io.readers.slicer_seg import read_slicer_segmentation
from sammix.io.volume import Volume
from sammix.label.service import RefusedError


@dataclass(frozen=True)
class Segments:
    """The segments that 3D Slicer is offered. Wherever in a slice the second or third is painted, it counts.

    Attributes:
        organ: what is sought.
    """

    organ: str

    @property
    def absent(self) -> str:
        """Painted in a slice: it does not show the organ."""
        return f"no {self.organ} in this slice"

    @property
    def complete(self) -> str:
        """Painted anywhere: no slice shows the organ but those in which it is drawn."""
        return f"no {self.organ} in all other slices"

    @property
    def names(self) -> tuple[str, str, str]:
        """In the order of their numbers, from 1."""
        return self.organ, self.absent, self.complete

    def meant(self, names: Mapping[str, int]) -> dict[str, list[str]]:
        """Sort a file's segments by what they mean: ``organ``, ``absent``, ``complete``, ``other``.

        The only segment is the organ, whatever it is called, unless that is another organ.

        Raises:
            RefusedError: none is the organ, and none of the two others is there.
        """
        found: dict[str, list[str]] = {"organ": [], "absent": [], "complete": [], "other": []}
        for name in names:
            plain = name.strip().lower()
            kind = "absent" if plain == self.absent.lower() else "complete" if plain == self.complete.lower() else ""
            found[kind or ("organ" if shows(name, self.organ) else "other")].append(name)
        if not found["organ"] and len(found["other"]) == 1 and not shows_other(found["other"][0], self.organ):
            found["organ"] = found.pop("other")
            found["other"] = []
        if not any(found[kind] for kind in ("organ", "absent", "complete")):
            said = ", ".join(f"“{name}”" for name in names)
            raise RefusedError(f"no segment is called {self.organ} ({said or 'there is none'}); rename it in Slicer")
        return found


@dataclass(frozen=True, eq=False)
class Submitted:
    """What was drawn of a scan of n slices, counted from its inferior end.

    Attributes:
        masks: slice → (H, W) bool, of those in which the organ is drawn.
        absent: slices that are said not to show it.
        complete: whether all other slices are said not to show it.
        remarks: what was left out, a line each.
    """

    masks: dict[int, NDArray[np.bool_]]
    absent: frozenset[int]
    complete: bool
    remarks: tuple[str, ...] = ()


def read_submitted(
    path: Path, scan: Volume, segments: Segments, numbers: Mapping[str, int], complete: bool = False
) -> Submitted:
    """Read a label map or a ``.seg.nrrd`` that was drawn on a scan.

    Args:
        path: one file: NIfTI, NRRD or MetaImage.
        scan: in its file's own order.
        numbers: of a label map, which number each segment has; empty: those that were offered, from 1.
        complete: whether it was said, beside the file, that no other slice shows the organ.

    Raises:
        InputError: damaged, keeps its voxels elsewhere, or does not lie on the scan.
        RefusedError: no segment is the organ, or a slice is both drawn and said to show nothing.
    """
    if has_suffix(path, ITK) and read_header(path).voxels.resolve() != path.resolve():
        raise InputError(path, "keeps its voxels in another file", "send it as one file")
    named = {segment.name: segment.value for segment in slicer_segments(path)} if is_slicer_segmentation(path) else {}
    remarks: list[str] = []
    if named:
        meant = segments.meant(named)
        parts = {
            kind: on_scan(read_slicer_segmentation(path, tuple(names)), scan) if names else _nothing(scan)
            for kind, names in meant.items()
            if kind != "other"
        }
    else:
        numbers = numbers or {name: n for n, name in enumerate(segments.names, 1)}
        meant = segments.meant(numbers)
        drawn = on_scan(_label_map(path), scan)
        parts = {
            kind: _chosen(drawn, [numbers[name] for name in names]) for kind, names in meant.items() if kind != "other"
        }
        strangers = sorted(set(np.unique(drawn[drawn > 0]).tolist()) - set(numbers.values()))
        if strangers and not any(part.any() for part in parts.values()):
            raise RefusedError(f"the label map holds {strangers}, and its segments are said to be {dict(numbers)}")
        if strangers:
            remarks.append(f"left out: voxels of {strangers}, which is no segment's number")
    if meant["other"]:
        remarks.append("left out: " + ", ".join(f"“{name}”" for name in meant["other"]))
    found = _by_slice({kind: _axial(part, scan) for kind, part in parts.items()}, remarks)
    return replace(found, complete=found.complete or complete)


def on_scan(part: Volume, scan: Volume) -> NDArray[np.uint8]:
    """Lay what was drawn on the scan's own grid.

    Raises:
        InputError: it lies elsewhere. It is never resampled.
    """
    array = placed(part, scan)
    if array is not None:
        return array
    shape, own = part.array.shape, scan.array.shape
    if shape == own and not scan.trusted_geometry:
        return part.array  # where millimetres mean nothing, voxels do
    problem = f"its {' × '.join(map(str, shape))} voxels do not lie on those of the scan ({' × '.join(map(str, own))})"
    raise InputError(part.path or "the label", problem, "draw on the scan as it came, without a transform")


def _label_map(path: Path) -> Volume:
    if not has_suffix(path, NIFTI + ITK):
        raise InputError(path, "is of no format that is read here", "send NIfTI (.nii.gz) or .seg.nrrd")
    stored = read_labels(path)
    whole = whole_numbers(path, stored.array)
    if whole.max(initial=0) > np.iinfo(np.uint8).max:
        raise InputError(path, f"holds numbers up to {int(whole.max())}", "send a label map")
    return Volume(whole.astype(np.uint8), stored.affine, path, stored.warnings, stored.trusted_geometry)


def _chosen(drawn: NDArray[np.uint8], values: list[int]) -> NDArray[np.uint8]:
    return np.isin(drawn, values).astype(np.uint8)


def _nothing(scan: Volume) -> NDArray[np.uint8]:
    return np.zeros(scan.array.shape, np.uint8)


def _axial(part: NDArray[np.uint8], scan: Volume) -> NDArray[np.bool_]:
    axial: NDArray[np.bool_] = Volume(part, scan.affine).axial().array > 0
    return axial


def _by_slice(parts: Mapping[str, NDArray[np.bool_]], remarks: list[str]) -> Submitted:
    masks = {k: plane for k, plane in enumerate(parts["organ"]) if plane.any()}
    absent = frozenset(np.flatnonzero(parts["absent"].any(axis=(1, 2))).tolist())
    if both := sorted(absent & masks.keys()):
        slices = ", ".join(str(k + 1) for k in both)
        raise RefusedError(f"slices {slices} are drawn, and are said to show nothing: erase one of the two")
    return Submitted(masks, absent, bool(parts["complete"].any()), tuple(remarks))
