from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.config import RAISE
from pydicom.multival import MultiValue
from pydicom.valuerep import DA, TM, validate_value

from sammix.io.writers.dicom_values import TEXTS, repaired


@pytest.mark.parametrize(
    ("vr", "value", "expected"),
    [
        ("DA", "1950-01-02", "19500102"),
        ("DA", "1950.01.02", "19500102"),
        ("DA", "1950/01/02", "19500102"),
        ("DA", "19500102120000", "19500102"),
        ("DA", "1950-01-02T12:00", "19500102"),
        ("DA", "02/03/1950", None),
        ("DA", "19500231", None),
        ("DA", "unknown", None),
        ("TM", "12:30:45.5", "123045.5"),
        ("TM", "12:30", "1230"),
        ("TM", "123045.1234567", "123045.123456"),
        ("TM", "256099", None),
        ("TM", "noon", None),
        ("AS", "45Y", "045Y"),
        ("AS", "45", None),
        ("DS", "0.72656250000000001", "0.7265625"),
        ("DS", "1,5", "1.5"),
        ("DS", "nan", None),
        ("DS", "thick", None),
        ("IS", "3.0", "3"),
        ("IS", "3.5", None),
        ("CS", "yes", "YES"),
        ("LO", "x" * 70, "x" * 64),
        ("SH", "x" * 17, "x" * 16),
        ("LO", "line\nline", "line line"),
        ("PN", "n" * 70 + "=i", "n" * 64 + "=i"),
        ("LO", "\ufffd\ufffd", None),
        ("LO", b"bytes", "bytes"),
        ("LO", b"\xff\xfe", None),
        ("UI", "1.02.3", None),
        ("UI", "1.x", None),
        ("UI", "1." + "2" * 64, None),
        ("US", "many", None),
        ("OB", b"garbage", None),
    ],
)
def test_what_is_plain_is_repaired_and_all_else_left_empty(vr, value, expected):
    assert repaired("PatientComments", vr, value) == (expected, False)


@pytest.mark.parametrize(
    ("vr", "value"),
    [
        ("DA", "19500102"), ("TM", "12"), ("TM", "123045.123456"), ("PN", "Müller^Jürgen=김^희중"), ("CS", "A_B"),
        ("DS", "-1.5e3"), ("IS", "12"), ("AS", "045Y"), ("UI", "1.2.3"), ("US", 7), ("LO", "a"),
    ],
)  # fmt: skip
def test_what_is_valid_stays(vr, value):
    assert repaired("PatientComments", vr, value) == (value, True)
    assert repaired("PatientComments", vr, None) == (None, True)


@pytest.mark.parametrize(
    ("sex", "meant"), [("Male", "M"), ("f", "F"), ("W", "F"), ("O", "O"), ("U", None), ("?", None)]
)
def test_sex(sex, meant):
    assert repaired("PatientSex", "CS", sex) == (meant, sex == meant)


def test_of_several_values_each_is_repaired_or_all_are_left_empty():
    assert repaired("x", "CS", MultiValue(str, ["a", "B"])) == (["A", "B"], False)
    assert repaired("x", "DS", ["1", "two"]) == (None, False)


@given(st.sampled_from(sorted(TEXTS)), st.text(max_size=90) | st.binary(max_size=90))
def test_whatever_comes_out_is_valid(vr, value):
    found, valid = repaired("PatientComments", vr, value)
    if found is None:
        assert not valid or not value
        return
    validate_value(vr, found, RAISE)
    if vr in ("DA", "TM"):
        {"DA": DA, "TM": TM}[vr](found)
    assert valid == (found == value) or (isinstance(value, str) and found == value.strip("\0 "))
