from __future__ import annotations

import pytest

from sammix.errors import InputError
from sammix.io.readers.slicer_header import MAX_HEADER, Segment, is_slicer_segmentation, slicer_segments

HEADER = b"NRRD0004\n# a comment\ntype: unsigned char\ndimension: 3\n"
KEYS = b"Segment1_Name:=Rein droit\xc3\xa9\nSegment1_LabelValue:=7\nSegment1_Layer:=2\nSegment0_Name:=liver\n"


@pytest.fixture
def header(tmp_path):
    """``header(text)`` → a file that begins so; its voxels would not be read."""

    def write(text, name="a.nrrd"):
        (tmp_path / name).write_bytes(text + b"\n\xff\xfe\nSegment9_Name:=voxels")
        return tmp_path / name

    return write


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_segments_by_number(header, end):
    path = header((HEADER + KEYS).replace(b"\n", end) + end[:-1])
    assert slicer_segments(path) == (Segment("liver", 1, 0), Segment("Rein droité", 7, 2))


def test_without_numbers_each_segment_has_its_layer(header):
    keys = b"Segment0_Name:=a\nSegment1_Name:=b\n"
    layered = header(HEADER.replace(b"dimension: 3", b"dimension: 4") + keys)
    assert slicer_segments(layered) == (Segment("a", 1, 0), Segment("b", 1, 1))
    assert slicer_segments(header(HEADER + keys)) == (Segment("a", 1, 0), Segment("b", 2, 0))


def test_it_is_known_by_its_name_or_its_text(header, tmp_path):
    assert is_slicer_segmentation(header(b"", "A.SEG.NRRD"))
    assert is_slicer_segmentation(header(HEADER + KEYS))
    assert not is_slicer_segmentation(header(HEADER))
    assert not is_slicer_segmentation(header(b"x"))
    assert not is_slicer_segmentation(header(HEADER + KEYS, "a.nii"))
    assert not is_slicer_segmentation(tmp_path / "gone.seg.nrrd")


@pytest.mark.parametrize(
    "content",
    [b"", b"NRRD0004\n", b"x\n\n", HEADER + b"Segment0_Layer:=x\n\n", b"NRRD" + bytes(MAX_HEADER + 9)],
    ids=["empty", "no end", "no NRRD", "no number", "endless"],
)
def test_damage_is_named(tmp_path, content):
    (tmp_path / "a.seg.nrrd").write_bytes(content)
    with pytest.raises(InputError, match=r"a\.seg\.nrrd"):
        slicer_segments(tmp_path / "a.seg.nrrd")
