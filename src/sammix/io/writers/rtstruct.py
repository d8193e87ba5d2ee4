"""A mask → DICOM RT Structure Set: its outline in each slice, for programs that plan radiotherapy."""

# scikit-image is not typed.
# mypy: disable-error-code="no-untyped-call"

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.sr.coding import Code
from pydicom.uid import ExplicitVRLittleEndian, RTStructureSetStorage, generate_uid
from skimage.measure import approximate_polygon, find_contours

from sammix import __version__
from sammix.files import atomic_path
from sammix.io.writers.organ_codes import organ_code
from sammix.io.writers.planes import Plane, planes
from sammix.io.writers.referenced_images import SERIES_NUMBER, Sources, referring
from sammix.io.writers.repeated_tags import MAY_BE_EMPTY

STUDY_COMPONENT = "1.2.840.10008.3.1.2.3.1"
COLOUR = [255, 59, 48]


def write_rtstruct(path: str | Path, mask: NDArray[Any], sources: Sources, organ: str, model: str) -> tuple[str, ...]:
    """Write a mask's outlines as one region of interest (PS3.3 A.19).

    An outline runs halfway between the centres of pixels inside and outside, so that filling it gives the mask
    again. It lies in its own image's plane, as that image's header has it, however even the slices are. A hole is an
    outline of its own within another, as most programs have it: overlaps cancel.

    Args:
        path: ``.dcm``.
        mask: (column, row, slice) on the grid of ``read_dicom``; above 0 counts.
        sources: the images it was made from.
        organ: the region's name.
        model: the algorithm's name.

    Returns:
        What is suspicious about the images, each a line for the user.

    Raises:
        InputError: the images cannot be referred to. OutputError: the file cannot be written.
    """
    path = Path(path)
    with referring(path, sources) as (images, warnings):
        data = _series(images[0], organ)
        references = {
            place: _reference(image, frame if len(places) > 1 else None)
            for image, (_, places) in zip(images, sources, strict=True)
            for frame, place in enumerate(places, start=1)
        }
        where = {
            place: plane
            for image, places in sources
            for place, plane in zip(places, planes(image, len(places)), strict=True)
        }
        data.ReferencedFrameOfReferenceSequence = [
            _frame_of_reference(images[0], [_reference(i, None) for i in images])
        ]
        data.StructureSetROISequence = [_region(images[0], organ, model)]
        data.ROIContourSequence = [_contours(mask, where, references)]
        data.RTROIObservationsSequence = [_observation(organ)]
        with atomic_path(path) as temporary:
            data.save_as(temporary, enforce_file_format=True)
    return warnings


def outlines(plane: NDArray[Any]) -> Iterator[NDArray[np.float64]]:
    """Find the closed outlines of a plane's marked pixels: (n, 2) row, column, the last point not repeated."""
    for contour in find_contours(np.pad(plane > 0, 1).astype(np.float32), 0.5):
        yield approximate_polygon(contour, 1e-6)[:-1] - 1


def _series(image: Dataset, organ: str) -> Dataset:
    """Begin an object of the images' patient and study, in a series and with an instance of its own."""
    data, now = Dataset(), datetime.now()
    for tag in ("SpecificCharacterSet", "StudyInstanceUID", "StudyDescription", *MAY_BE_EMPTY):
        if tag in image:
            data[tag] = image[tag]
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.SOPClassUID, data.SOPInstanceUID = RTStructureSetStorage, generate_uid()
    data.Modality, data.SeriesInstanceUID, data.SeriesNumber = "RTSTRUCT", generate_uid(), SERIES_NUMBER
    data.SeriesDescription, data.OperatorsName, data.InstanceNumber = f"{organ} by sammix"[:64], None, 1
    data.Manufacturer = data.ManufacturerModelName = "sammix"
    data.SoftwareVersions = __version__
    data.FrameOfReferenceUID, data.PositionReferenceIndicator = image.FrameOfReferenceUID, None
    data.StructureSetLabel = organ[:16]
    data.StructureSetDate, data.StructureSetTime = now.strftime("%Y%m%d"), now.strftime("%H%M%S")
    return data


def _reference(image: Dataset, frame: int | None) -> Dataset:
    reference = _item(ReferencedSOPClassUID=image.SOPClassUID, ReferencedSOPInstanceUID=image.SOPInstanceUID)
    if frame is not None:
        reference.ReferencedFrameNumber = frame
    return reference


def _frame_of_reference(image: Dataset, references: list[Dataset]) -> Dataset:
    series = _item(SeriesInstanceUID=image.SeriesInstanceUID, ContourImageSequence=references)
    study = _item(
        ReferencedSOPClassUID=STUDY_COMPONENT,
        ReferencedSOPInstanceUID=image.StudyInstanceUID,
        RTReferencedSeriesSequence=[series],
    )
    return _item(FrameOfReferenceUID=image.FrameOfReferenceUID, RTReferencedStudySequence=[study])


def _region(image: Dataset, organ: str, model: str) -> Dataset:
    return _item(
        ROINumber=1,
        ReferencedFrameOfReferenceUID=image.FrameOfReferenceUID,
        ROIName=organ[:64],
        ROIGenerationAlgorithm="AUTOMATIC",
        ROIGenerationDescription=f"sammix {model} {__version__}"[:64],
    )


def _contours(mask: NDArray[Any], where: dict[int, Plane], references: dict[int, Dataset]) -> Dataset:
    contours = []
    for k in np.flatnonzero(mask.any(axis=(0, 1))).tolist():
        for line in outlines(mask[..., k].T):
            points = where[k].points(line)
            contours.append(
                _item(
                    ContourImageSequence=[references[k]],
                    ContourGeometricType="CLOSED_PLANAR",
                    NumberOfContourPoints=len(points),
                    ContourData=[f"{value:.3f}" for value in points.ravel()],
                )
            )
    return _item(ROIDisplayColor=COLOUR, ReferencedROINumber=1, ContourSequence=contours)


def _observation(organ: str) -> Dataset:
    code, side = organ_code(organ)
    kind = _code(code)
    if side is not None:
        kind.SegmentedPropertyTypeModifierCodeSequence = [_code(side)]
    return _item(
        ObservationNumber=1,
        ReferencedROINumber=1,
        RTROIInterpretedType="ORGAN",
        ROIInterpreter=None,
        RTROIIdentificationCodeSequence=[kind],
    )


def _code(code: Code) -> Dataset:
    return _item(CodeValue=code.value, CodingSchemeDesignator=code.scheme_designator, CodeMeaning=code.meaning)


def _item(**tags: Any) -> Dataset:
    item = Dataset()
    for keyword, value in tags.items():
        setattr(item, keyword, value)
    return item
