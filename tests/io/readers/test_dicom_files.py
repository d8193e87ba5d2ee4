from __future__ import annotations

import struct
import threading
import warnings
import zlib
from pathlib import Path
from warnings import warn_explicit

import numpy as np
import pydicom
import pytest
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from sammix.errors import InputError
from sammix.io.readers.dicom import read_dicom
from sammix.io.readers.dicom_files import MAX_DEFLATED, functional, guarded, is_dicom_file, read_object
from sammix.io.readers.dicom_headers import read_headers

SLICE = np.arange(24, dtype=np.uint16).reshape(6, 4)
ENCODINGS = {"implicit": (True, True), "explicit": (False, True), "big endian": (False, False)}


@pytest.fixture
def without_preamble(write_dicom):
    """``write(path, is_implicit, is_little, **tags)`` → path: the data set alone, as old programs write it."""

    def write(path, is_implicit, is_little, **tags):
        data = pydicom.dcmread(write_dicom(path, SLICE, **tags))
        data.preamble = None
        del data.file_meta
        if not is_little:
            data["PixelData"].VR = "OW"
            data.PixelData = SLICE.astype(">u2").tobytes()
        pydicom.dcmwrite(path, data, implicit_vr=is_implicit, little_endian=is_little, enforce_file_format=False)
        return path

    return write


def test_files_are_known_by_their_first_bytes(tmp_path, write_dicom):
    assert is_dicom_file(write_dicom(tmp_path / "a", SLICE))
    for content in (b"", b"no DICOM", bytes(500), b"\x5c\x01\0\0" + bytes(400), b"\x08\0\x08\0" + b"\xff" * 400):
        (tmp_path / "b.dcm").write_bytes(content)
        assert not is_dicom_file(tmp_path / "b.dcm"), content[:8]


@pytest.mark.parametrize(("is_implicit", "is_little"), ENCODINGS.values(), ids=ENCODINGS)
def test_a_file_may_lack_its_first_bytes_and_its_encoding(
    tmp_path, without_preamble, write_dicom, is_implicit, is_little
):
    bare = without_preamble(tmp_path / "a" / "x", is_implicit, is_little)
    assert not pydicom.misc.is_dicom(bare)
    assert is_dicom_file(bare)
    assert (read_headers(bare)[0].shape, read_headers(bare)[0].is_slice) == ((6, 4), True)
    write_dicom(tmp_path / "b.dcm", SLICE)
    np.testing.assert_array_equal(read_dicom(bare).array, read_dicom(tmp_path / "b.dcm").array)
    syntax = {(True, True): ImplicitVRLittleEndian, (False, True): ExplicitVRLittleEndian}
    assert read_object(bare).file_meta.TransferSyntaxUID == syntax.get((is_implicit, is_little), ExplicitVRBigEndian)


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


def test_an_object_that_unpacks_without_end(tmp_path):
    packer, zeros = zlib.compressobj(1, zlib.DEFLATED, -zlib.MAX_WBITS), bytes(2**24)
    bomb = b"".join(packer.compress(zeros) for _ in range(MAX_DEFLATED // 2**24 + 1)) + packer.flush()
    uid = DeflatedExplicitVRLittleEndian.encode()
    meta = b"\2\0\x10\0UI" + struct.pack("<H", len(uid)) + uid
    group_length = b"\2\0\0\0UL\4\0" + struct.pack("<I", len(meta))
    (tmp_path / "a.dcm").write_bytes(bytes(128) + b"DICM" + group_length + meta + bomb)
    with pytest.raises(InputError, match="unpacks to more than"):
        read_headers(tmp_path / "a.dcm")


def test_a_file_that_may_not_be_read(tmp_path, monkeypatch):
    def locked(self, *how):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", locked)
    with pytest.raises(InputError, match=r"001\.dcm: cannot be opened \(Permission denied\)"):
        is_dicom_file(tmp_path / "001.dcm")


def test_no_thread_ends_the_silence_of_another(tmp_path: Path) -> None:
    """One scan is read while another is written: a filter of warnings that one takes away is taken from both."""
    file = tmp_path / "a.dcm"
    file.write_bytes(b"nothing that is deflated")
    begun, ended = threading.Event(), threading.Event()

    def other() -> None:
        with guarded(file):
            begun.set()
            assert ended.wait(60)
            warn_explicit("quotes a name", UserWarning, "charset.py", 1, module="pydicom.charset")

    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        with guarded(file):
            thread = threading.Thread(target=other)
            thread.start()
            assert begun.wait(60)
        ended.set()
        thread.join(60)
        warn_explicit("anybody's", UserWarning, "there.py", 1, module="numpy")
    assert [str(one.message) for one in heard] == ["anybody's"]
