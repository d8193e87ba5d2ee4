"""A mask → DICOM-SEG, which refers to the images it was made from and belongs to their patient and study."""

# highdicom's types do not follow its documentation everywhere.
# mypy: disable-error-code="no-untyped-call"

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import highdicom as hd
import numpy as np
from highdicom.seg import Segmentation, SegmentDescription
from numpy.typing import NDArray
from pydicom.sr.codedict import codes

from sammix import __version__
from sammix.files import atomic_path
from sammix.io.writers.organ_codes import CATEGORY, organ_code
from sammix.io.writers.referenced_images import SERIES_NUMBER, Sources, referring

Made = Literal["AUTOMATIC", "SEMIAUTOMATIC", "MANUAL"]

PAPER = "https://arxiv.org/abs/2412.08575"


def write_dicom_seg(
    path: str | Path, mask: NDArray[Any], sources: Sources, organ: str, model: str, made: Made = "AUTOMATIC"
) -> tuple[str, ...]:
    """Write a mask as a binary DICOM Segmentation (PS3.3 A.51) with one segment.

    Frame of reference, patient and study are the sources'. Frames without the organ are left out, as the
    standard allows; where no frame has it, all are written, empty.

    Args:
        path: ``.dcm``.
        mask: (column, row, slice) on the grid of ``read_dicom``; above 0 counts.
        sources: the images it was made from.
        organ: the segment's label; its code is from ``organ_codes``.
        model: the algorithm's name.
        made: whether a program, a person, or both made the mask.

    Returns:
        What is suspicious about the images, each a line for the user.

    Raises:
        InputError: the images cannot be referred to, or do not belong together.
        OutputError: the file cannot be written.
    """
    path = Path(path)
    order = [place for _, places in sources for place in places]
    frames = np.ascontiguousarray(mask.transpose(2, 1, 0)[order] > 0)  # (frame, row, column)
    with referring(path, sources) as (images, warnings):
        segmentation = Segmentation(
            source_images=images,
            pixel_array=frames,
            segmentation_type="BINARY",
            segment_descriptions=[_segment(organ, model, made)],
            series_instance_uid=hd.UID(),
            series_number=SERIES_NUMBER,
            sop_instance_uid=hd.UID(),
            instance_number=1,
            manufacturer="sammix",
            manufacturer_model_name="sammix",
            software_versions=__version__,
            device_serial_number="0",
            content_label="SEGMENTATION",
            series_description=f"{organ} by sammix"[:64],
            omit_empty_frames=bool(frames.any()),
        )
        with atomic_path(path) as temporary:
            segmentation.save_as(temporary)
    return warnings


def _segment(organ: str, model: str, made: Made) -> SegmentDescription:
    code, side = organ_code(organ)
    algorithm = hd.AlgorithmIdentificationSequence(
        name=f"sammix {model}"[:64], version=__version__, family=codes.DCM.ArtificialIntelligence, source=PAPER
    )
    segment = SegmentDescription(
        segment_number=1,
        segment_label=organ[:64],
        segmented_property_category=CATEGORY,
        segmented_property_type=code,
        algorithm_type=made,
        algorithm_identification=None if made == "MANUAL" else algorithm,
        tracking_uid=hd.UID(),
        tracking_id=organ[:64],
    )
    if side:
        kind = segment.SegmentedPropertyTypeCodeSequence[0]
        kind.SegmentedPropertyTypeModifierCodeSequence = [hd.sr.CodedConcept(*side)]
    return segment
