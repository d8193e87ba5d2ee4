from __future__ import annotations

import pytest
from pydicom.uid import UID

from sammix.errors import InputError, OutputError
from sammix.files import write_text
from sammix.io.readers.dicom import source_images
from sammix.io.writers.referenced_images import MAY_BE_EMPTY, SHARED_UIDS, completed, referring


def test_images_that_lack_nothing_are_left_as_they_are(tmp_path, write_series):
    sources = source_images(write_series(tmp_path / "ct"))
    images, warnings = completed(sources)
    assert warnings == ()
    assert [image.SOPInstanceUID for image in images] == [f"1.2.3.{k}" for k in range(5)]
    assert {(image.StudyInstanceUID, str(image.PatientName)) for image in images} == {("1.2", "Secret^Name")}
    assert all(tag in image for image in images for tag in MAY_BE_EMPTY), "with or without a value"


@pytest.mark.parametrize("tag", SHARED_UIDS)
def test_a_uid_that_was_emptied_is_made_of_the_images_own_and_named(tmp_path, write_series, tag):
    folder = write_series(tmp_path / "ct", **{tag: None})
    made = set()
    for _ in range(2):
        images, (warning,) = completed(source_images(folder))
        assert f"have no {tag};" in warning
        made |= {image.get(tag) for image in images}
    assert len(made) == 1, "one for all images, the same every time"
    (uid,) = made
    assert UID(uid).is_valid
    images, _ = completed(
        source_images(write_series(tmp_path / "other", n=1, SOPInstanceUID="1.2.3.99", **{tag: None}))
    )
    assert images[0].get(tag) != uid, "other images, another UID"


def test_an_image_is_known_by_its_files_own_header(tmp_path, write_series):
    sources = source_images(write_series(tmp_path / "ct"))
    for image, _ in sources:
        del image.SOPInstanceUID, image.SOPClassUID
    images, _ = completed(sources)
    assert [image.SOPInstanceUID for image in images] == [f"1.2.3.{k}" for k in range(5)]
    del images[2].SOPInstanceUID, images[2].file_meta.MediaStorageSOPInstanceUID
    with pytest.raises(InputError, match="has no SOPInstanceUID"):
        completed(sources)


def test_an_output_that_cannot_be_made_is_the_images_fault_and_one_that_cannot_be_written_is_not(
    tmp_path, write_series
):
    folder = write_series(tmp_path / "ct")
    sources, path = source_images(folder), tmp_path / "m.dcm"
    with referring(path, sources) as (images, warnings):
        assert (len(images), warnings) == (5, ())
    with (
        pytest.raises(InputError, match=r"005\.dcm: its series contradicts itself.*--format nifti") as error,
        referring(path, sources),
    ):
        raise ValueError("Secret^Name")
    assert "Secret" not in repr(error.getrepr(chain=True))
    with pytest.raises(OutputError, match="cannot be written"), referring(path, sources):
        write_text(folder / "005.dcm" / "m.dcm", "")
    with pytest.raises(OutputError, match=r"end it in \.dcm"), referring(tmp_path / "m.nii", sources):
        pass
