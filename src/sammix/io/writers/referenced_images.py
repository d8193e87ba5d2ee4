"""The images that a DICOM output refers to, made fit to be referred to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from pydicom import Dataset
from pydicom.uid import UID, generate_uid
from pydicom.valuerep import format_number_as_ds

from sammix.errors import InputError, OutputError
from sammix.io.readers.dicom_files import guarded
from sammix.io.readers.dicom_headers import ENHANCED_CT
from sammix.io.writers.dicom_values import repaired
from sammix.io.writers.planes import Plane, planes, step
from sammix.io.writers.repeated_tags import Faults, repeated

Sources = Sequence[tuple[Dataset, tuple[int, ...]]]
"""What ``readers.dicom.source_images`` gives: each DICOM object, and its frames' places in the mask."""

SERIES_NUMBER = 300
"""Of every output: far from the numbers that scanners give."""

UNFIT = "its series contradicts itself, or lacks what DICOM must repeat of it"

SHARED_UIDS = ("StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID")


@contextmanager
def referring(path: Path, sources: Sources) -> Iterator[tuple[list[Dataset], tuple[str, ...]]]:
    """Give an output that is written to ``path`` the images that it refers to, as :func:`completed` does.

    What goes wrong while the output is made is the images' fault, and is said of the first of them.

    Raises:
        OutputError: ``path`` does not end in ``.dcm``. InputError: no output can be made from the images.
    """
    if path.suffix.lower() != ".dcm":
        raise OutputError(path, "is not a DICOM name", "end it in .dcm")
    with guarded(Path(sources[0][0].filename), UNFIT, "export the series again, or choose --format nifti"):
        yield completed(sources)


def completed(sources: Sources) -> tuple[list[Dataset], tuple[str, ...]]:
    """Make of each image one that holds what an output needs of it, and nothing else, all of it valid.

    What the images lack or have wrong is repaired or left empty, and its tag named (see ``repeated_tags``).
    Anonymisation may have emptied the UIDs. An image is then known by the UID in its file's own header; study,
    series and frame of reference get UIDs made from that, the same every time.

    Raises:
        InputError: an image has no UID at all.
    """
    images, faults = [image for image, _ in sources], Faults()
    for image in images:
        _identify(image, faults)
    shared = repeated(images, faults)
    warnings = _share_uids(shared, images)
    found = [planes(image, len(places)) for image, places in sources]
    thickness = _thickness([plane for own in found for plane in own], faults)
    stand_ins = []
    for image, own in zip(images, found, strict=True):
        stand_in = Dataset()
        stand_in.update(shared)
        for tag in ("SOPClassUID", "SOPInstanceUID", "Rows", "Columns", *SHARED_UIDS):
            if tag not in stand_in:
                stand_in[tag] = image[tag]
        stand_in.Modality = "CT"
        _place(stand_in, own, replace(found[0][0], thickness=thickness))
        stand_ins.append(stand_in)
    return stand_ins, faults.warnings() + warnings


def _identify(image: Dataset, faults: Faults) -> None:
    """Give an image its own UID, from its file's header if need be; one that is not valid is what others know it by."""
    for tag, beside in (("SOPClassUID", "MediaStorageSOPClassUID"), ("SOPInstanceUID", "MediaStorageSOPInstanceUID")):
        known = [uid for uid in (image.get(tag), image.file_meta.get(beside)) if uid]
        valid = [uid for uid in known if UID(uid).is_valid]
        if not known:
            problem = "has no SOPInstanceUID, so that nothing can refer to it"
            raise InputError(Path(image.filename), problem, "export the series again, or choose --format nifti")
        setattr(image, tag, (valid or known)[0])
        if not valid:
            faults.kept[tag] = None


def _share_uids(shared: Dataset, images: Sequence[Dataset]) -> tuple[str, ...]:
    """Make UIDs where an image has none that is valid; else they stay each image's own."""
    missing = [tag for tag in SHARED_UIDS if not all(_has_uid(image, tag) for image in images)]
    for tag in missing:
        setattr(shared, tag, generate_uid(entropy_srcs=[tag, images[0].SOPInstanceUID]))
    if not missing:
        return ()
    given = any(image.get(tag) for tag in missing for image in images)
    what = "no valid" if given else "no"
    told = f"its images have {what} {', '.join(missing)}; the output has new ones, which an archive does not know"
    return (told,)


def _has_uid(image: Dataset, tag: str) -> bool:
    value = image.get(tag)
    return bool(value) and UID(str(value)).is_valid


def _thickness(found: Sequence[Plane], faults: Faults) -> str:
    """Find SliceThickness in mm, as DICOM writes it: the images', else the distance between slices."""
    value, valid = repaired("SliceThickness", "DS", found[0].thickness)
    if value is not None and float(value) > 0:
        if not valid:
            faults.note("SliceThickness", value)
        return str(value)
    made = format_number_as_ds(round(step(found), 6) or 1.0)
    faults.note("SliceThickness", made)
    return made


def _place(stand_in: Dataset, own: Sequence[Plane], common: Plane) -> None:
    """Set each plane's own position; orientation, spacing and thickness are the first plane's, as a SEG has only one.

    They may differ in their last digits (``check_scan``), which highdicom refuses.
    """
    measures, orientation = Dataset(), Dataset()
    measures.PixelSpacing, measures.SliceThickness = _decimal(common.spacing), common.thickness
    orientation.ImageOrientationPatient = _decimal(common.orientation)
    positions = [Dataset() for _ in own]
    for position, plane in zip(positions, own, strict=True):
        position.ImagePositionPatient = _decimal(plane.position)
    if stand_in.SOPClassUID not in ENHANCED_CT:
        for part in (measures, orientation, positions[0]):
            stand_in.update(part)
        return
    stand_in.NumberOfFrames = len(own)
    groups, frames = Dataset(), [Dataset() for _ in own]
    groups.PixelMeasuresSequence, groups.PlaneOrientationSequence = [measures], [orientation]
    for frame, position in zip(frames, positions, strict=True):
        frame.PlanePositionSequence = [position]
    stand_in.SharedFunctionalGroupsSequence, stand_in.PerFrameFunctionalGroupsSequence = [groups], frames


def _decimal(values: Sequence[float]) -> list[str]:
    return [format_number_as_ds(value) for value in values]
