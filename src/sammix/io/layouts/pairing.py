"""Tell scans from masks by their names, and find which mask is whose: one rule for every way people name them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sammix.io.case_names import SAYS_NOTHING
from sammix.io.dataset import listing
from sammix.io.label_names import WELL_KNOWN

IMAGE_FOLDERS = {"images", "image", "imgs", "img", "imagestr", "imagests"}
MASK_FOLDERS = {"masks", "mask", "labels", "label", "labelstr", "labelsts", "segmentations", "segmentation", "segs"}
MASK_FOLDERS |= {"seg", "gt", "gts", "ground_truth", "groundtruth", "annotations", "annotation", "labelmaps"}
MASK_FOLDERS |= {"masks_dicom"}  # 3D-IRCADb
SCAN_FOLDERS = {"volume", "volumes", "ct", "cts", "scan", "scans", "data", "raw", "original", "originals"}
"""They may say that scans lie there, or anything else; only a mask of the same name elsewhere decides."""

MASK = r"(?:masks?|labels?|labelmaps?|d?segs?|segmentations?|gt|ground[ _-]?truth)"
SCAN = r"(?:images?|imgs?|imaging|ct|scan|volume|vol|orig|original)"
IS_MASK = re.compile(MASK, re.IGNORECASE)
MASK_END = re.compile(rf"[ ._-]{MASK}$", re.IGNORECASE)
MASK_START = re.compile(rf"^{MASK}(?:[ ._-]+|(?=\d))", re.IGNORECASE)
SCAN_END = re.compile(rf"[ ._-](?:{SCAN}|0000)$", re.IGNORECASE)
SCAN_START = re.compile(rf"^{SCAN}(?:[ ._-]+|(?=\d))", re.IGNORECASE)

Key = tuple[str, ...]


def in_mask_folder(path: Path, root: Path) -> bool:
    """Tell whether a file lies, below ``root``, in a folder that is called as folders of masks are."""
    return any(part.lower() in MASK_FOLDERS for part in path.relative_to(root).parent.parts)


@dataclass(frozen=True)
class Found:
    """A scan or a mask that lies somewhere in a data set.

    Attributes:
        path: the file, or the folder of a DICOM series.
        folder: the folders that it is in, without those that only say ``images`` or ``masks``.
        name: without the format's suffix.
        named_by_folder: whether it lies in a folder that says what it is.
        is_segmentation: whether its format holds masks only.
    """

    path: Path
    folder: Key
    name: str
    named_by_folder: bool = False
    is_segmentation: bool = False

    @property
    def key(self) -> Key:
        """Its place and name, whatever the case of letters."""
        return tuple(part.lower() for part in (*self.folder, self.name))


def is_mask_name(name: str) -> bool:
    """Tell whether a name says by itself that it is a mask's: ``scan_seg``, ``label0001``, ``Segmentation``."""
    return bool(IS_MASK.fullmatch(name) or MASK_END.search(name) or MASK_START.search(name))


def is_organ_name(name: str, organ: str) -> bool:
    """Tell whether a name says which organ a mask shows: ``scan_liver``, ``liver``, ``scan_spleen``."""
    return any(_without_organ(name, known) != name or name.lower() == known for known in {organ.lower(), *WELL_KNOWN})


@dataclass(frozen=True)
class Pairs:
    """Which mask is whose.

    Attributes:
        of: mask by image.
        torn: what cannot be told, each a line for the user: such masks are not used.
    """

    of: dict[Path, Path]
    torn: tuple[str, ...] = ()


def pair(images: Sequence[Found], masks: Sequence[Found], organ: str) -> Pairs:
    """Find each image's mask, in whichever of the known ways both are named.

    The closest names win: the same name, then without what only says “mask” or “scan”, then a mask that is named
    by its organ or not at all and lies in the folder of one single scan. Of two masks of one image none is used.
    """
    found: dict[Path, list[Path]] = {}
    torn: list[str] = []
    of_name = _by_key(images)
    for mask in masks:
        fitting = _images_of(mask, of_name, images, organ)
        if len(fitting) > 1:
            torn.append(f"{mask.path.name} may be the mask of {listing([image.path.name for image in fitting])}")
        elif fitting:
            found.setdefault(fitting[0].path, []).append(mask.path)
    torn += [
        f"{image.name} has several masks: {listing([mask.name for mask in others])}"
        for image, others in found.items()
        if len(others) > 1
    ]
    paired = {image: others[0] for image, others in found.items() if len(others) == 1}
    loose = [mask for mask in masks if mask.is_segmentation and mask.path not in paired.values()]
    for image in images:
        near = [mask for mask in loose if _alone_in(mask.folder, images) == image]
        if image.path not in found and len(near) == 1:
            paired[image.path] = near[0].path
    remedy = "none is used; keep one, or say in scans.csv which is whose"
    return Pairs(paired, tuple(f"{line}; {remedy}" for line in torn))


def _by_key(images: Sequence[Found]) -> dict[Key, list[tuple[int, Found]]]:
    """Map each name that an image goes by to the images, with how far the name is from the file's own."""
    keys: dict[Key, list[tuple[int, Found]]] = {}
    for image in images:
        for far, key in enumerate(_image_keys(image)):
            keys.setdefault(key, []).append((far, image))
    return keys


def _images_of(
    mask: Found, of_name: dict[Key, list[tuple[int, Found]]], images: Sequence[Found], organ: str
) -> list[Found]:
    """Find the images that a mask may be of: none, one, or several that are named equally near to it."""
    best: list[tuple[int, Found]] = []
    for far, key in enumerate(_mask_keys(mask, organ)):
        best += [(far + further, image) for further, image in of_name.get(key, [])]
    if best:
        nearest = min(far for far, _ in best)
        return list({image.path: image for far, image in best if far == nearest}.values())
    name = MASK_END.sub("", mask.name).lower()
    is_nameless = IS_MASK.fullmatch(name) or name == organ.lower()
    alone = _alone_in(mask.folder, images) if is_nameless else None
    return [] if alone is None else [alone]


def _alone_in(folder: Key, images: Sequence[Found]) -> Found | None:
    """Find the only scan in a folder or below it; a DICOM series is a folder itself."""
    inside = [image for image in images if (*image.folder, image.name)[: len(folder)] == folder]
    return inside[0] if len(inside) == 1 else None


def _image_keys(image: Found) -> list[Key]:
    names = [image.name, SCAN_END.sub("", image.name)]
    names += [SCAN_START.sub("", name) for name in names]
    short = tuple(part for part in image.folder if part.lower() not in SCAN_FOLDERS)
    keys = [(*folder, name) for folder in (image.folder, short) for name in names if name]
    return _unique(keys + ([image.folder] if image.folder and image.name.lower() in SAYS_NOTHING else []))


def _mask_keys(mask: Found, organ: str) -> list[Key]:
    names = [mask.name]
    for name in names:  # it grows: scan_liver.seg, scan_liver, scan
        shorter = MASK_END.sub("", name), MASK_START.sub("", name), _without_organ(name, organ)
        names += [short for short in shorter if short not in names]
    names += [SCAN_END.sub("", name) for name in names]
    folders = [mask.folder]
    if mask.folder and mask.folder[-1].lower() == organ.lower():  # masks/liver/scan.nii.gz
        folders.append(mask.folder[:-1])
    return _unique([(*folder, name) for folder in folders for name in names if name])


def _without_organ(name: str, organ: str) -> str:
    return re.sub(rf"[ ._-]{re.escape(organ)}$", "", name, flags=re.IGNORECASE)


def _unique(keys: list[Key]) -> list[Key]:
    return list(dict.fromkeys(tuple(part.lower() for part in key) for key in keys))
