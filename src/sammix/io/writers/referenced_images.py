"""The images that a DICOM output refers to, made fit to be referred to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from pydicom import Dataset
from pydicom.uid import generate_uid

from sammix.errors import InputError, OutputError
from sammix.io.readers.dicom_files import guarded

Sources = Sequence[tuple[Dataset, tuple[int, ...]]]
"""What ``readers.dicom.source_images`` gives: each DICOM object, and its frames' places in the mask."""

SERIES_NUMBER = 300
"""Of every output: far from the numbers that scanners give."""

UNFIT = "its series contradicts itself, or lacks what DICOM must repeat of it"

SHARED_UIDS = ("StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID")
MAY_BE_EMPTY = (
    "PatientName", "PatientID", "PatientBirthDate", "PatientSex",
    "StudyDate", "StudyTime", "StudyID", "AccessionNumber", "ReferringPhysicianName",
)  # fmt: skip
"""Must be there, with or without a value (PS3.3, type 2); anonymised images often lack them."""


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
    """Complete the images by every tag that an output repeats, with a warning where UIDs had to be made.

    Anonymisation may have emptied the UIDs. An image is then known by the UID in its file's own header; study,
    series and frame of reference get UIDs made from that, the same every time.

    Raises:
        InputError: an image has no UID at all.
    """
    images = [image for image, _ in sources]
    for image in images:
        meta = image.file_meta
        image.SOPClassUID = image.get("SOPClassUID") or meta.get("MediaStorageSOPClassUID")
        image.SOPInstanceUID = image.get("SOPInstanceUID") or meta.get("MediaStorageSOPInstanceUID")
        if not (image.SOPClassUID and image.SOPInstanceUID):
            problem = "has no SOPInstanceUID, so that nothing can refer to it"
            raise InputError(Path(image.filename), problem, "export the series again, or choose --format nifti")
        for tag in MAY_BE_EMPTY:
            if tag not in image:
                setattr(image, tag, None)
    missing = [tag for tag in SHARED_UIDS if not all(image.get(tag) for image in images)]
    for tag in missing:
        made = generate_uid(entropy_srcs=[tag, images[0].SOPInstanceUID])
        for image in images:
            setattr(image, tag, made)
    if not missing:
        return images, ()
    return images, (
        f"its images have no {', '.join(missing)}; the output has new ones, which an archive does not know",
    )
