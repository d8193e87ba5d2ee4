from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.uid import DeflatedExplicitVRLittleEndian

from sammix.errors import InputError
from sammix.io.readers.dicom import read_dicom
from sammix.io.readers.dicom_files import (
    MAX_DEFLATED,
    _padding,
    dicom_files,
    functional,
    guarded,
    is_dicom_series,
    read_headers,
)

SLICE = np.arange(24, dtype=np.uint16).reshape(6, 4)


def test_files_are_known_by_their_first_bytes_and_ordered_by_name(tmp_path, write_dicom):
    for name in ("b.dcm", "a", ".hidden.dcm", "DICOMDIR"):
        write_dicom(tmp_path / name, SLICE)
    (tmp_path / "c.dcm").write_text("no DICOM")
    (tmp_path / "folder.dcm").mkdir()
    assert [file.name for file in dicom_files(tmp_path)] == ["a", "b.dcm"]
    assert dicom_files(tmp_path / "b.dcm") == [tmp_path / "b.dcm"]


def test_a_header_has_what_places_the_slice(tmp_path, write_dicom):
    tags = {"SeriesNumber": 4, "PixelPaddingValue": 63536, "RescaleSlope": 2, "ImageType": ["ORIGINAL", "LOCALIZER"]}
    path = write_dicom(tmp_path / "a.dcm", SLICE, **tags)
    (header,) = read_headers(path)
    assert (header.path, header.frame, header.frames, header.shape) == (path, 0, 1, (6, 4))
    assert (header.study, header.series, header.number) == ("1.2", "1.2.3", 4)
    assert (header.slope, header.intercept, header.padding) == (2, -1024, (63536, 63536))
    assert header.position == (-10, -20, 30)
    assert header.spacing == (0.9, 0.7)
    assert header.localizer
    assert "Secret" not in repr(header)


def test_a_header_that_says_nothing_is_kept_for_the_check_to_name(tmp_path, write_dicom):
    empty = dict.fromkeys(("PixelSpacing", "ImagePositionPatient", "SliceThickness", "RescaleSlope", "SeriesNumber"))
    (header,) = read_headers(write_dicom(tmp_path / "a.dcm", SLICE, **empty))
    assert (header.spacing, header.position, header.thickness) == ((), (), None)
    assert (header.slope, header.number) == (1, 0)


@given(st.integers(-(2**15), 2**15 - 1), st.integers(0, 100), st.booleans())
def test_padding_of_signed_pixels_may_be_written_unsigned(low, extent, unsigned):
    ends = low, min(low + extent, 2**15 - 1)
    written = [value % 2**16 for value in ends] if unsigned else ends
    data = {"PixelRepresentation": 1, "PixelPaddingValue": written[1], "PixelPaddingRangeLimit": written[0]}
    assert _padding(data) == ends


def test_a_frames_own_value_goes_before_the_shared_one():
    def group(spacing=None):
        measures = pydicom.Dataset()
        if spacing is not None:
            measures.PixelSpacing = spacing
        return {"PixelMeasuresSequence": [measures]}

    ask = ("PixelMeasuresSequence", "PixelSpacing")
    assert functional(group([1, 2]), group([3, 4]), *ask) == [1, 2]
    assert functional(group(), group([3, 4]), *ask) == [3, 4]
    assert functional({}, {}, *ask) is None


def test_whatever_goes_wrong_with_a_file_is_one_clear_error(tmp_path):
    file = tmp_path / "a.dcm"
    file.write_bytes(b"")
    with pytest.raises(InputError, match="damaged") as caught, guarded(file):
        raise KeyError("Secret^Name")
    assert caught.value.__suppress_context__, "the cause may quote a patient's name"
    own = InputError(Path("b.dcm"), "is blue", "paint it")
    with pytest.raises(InputError, match="is blue"), guarded(file):
        raise own
    with pytest.raises(MemoryError), guarded(file):
        raise MemoryError


def test_a_file_that_may_not_be_read(tmp_path, write_series, monkeypatch):
    def locked(file):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("sammix.io.readers.dicom_files.is_dicom", locked)
    with pytest.raises(InputError, match=r"001\.dcm: cannot be opened \(Permission denied\)"):
        read_dicom(write_series(tmp_path / "ct"))


def test_an_object_that_unpacks_without_end(tmp_path):
    packer, zeros = zlib.compressobj(1, zlib.DEFLATED, -zlib.MAX_WBITS), bytes(2**24)
    bomb = b"".join(packer.compress(zeros) for _ in range(MAX_DEFLATED // 2**24 + 1)) + packer.flush()
    uid = DeflatedExplicitVRLittleEndian.encode()
    meta = b"\2\0\x10\0UI" + struct.pack("<H", len(uid)) + uid
    group_length = b"\2\0\0\0UL\4\0" + struct.pack("<I", len(meta))
    (tmp_path / "a.dcm").write_bytes(bytes(128) + b"DICM" + group_length + meta + bomb)
    with pytest.raises(InputError, match="unpacks to more than"):
        read_headers(tmp_path / "a.dcm")


def test_series_are_told_from_other_objects(tmp_path, write_series, write_dicom):
    assert is_dicom_series(write_series(tmp_path / "ct"))
    write_dicom(tmp_path / "seg/a.dcm", np.zeros((6, 4), np.uint16), Modality="SEG")
    assert not is_dicom_series(tmp_path / "seg")
    assert not is_dicom_series(tmp_path)
