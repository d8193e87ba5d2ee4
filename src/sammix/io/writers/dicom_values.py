"""Values of DICOM tags, each made valid for its kind (PS3.5, 6.2) where it is plain what was meant."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from contextlib import suppress
from math import isfinite
from typing import Any

from pydicom.config import RAISE
from pydicom.multival import MultiValue
from pydicom.uid import UID
from pydicom.valuerep import DA, DT, TM, format_number_as_ds, validate_value

CONTROL = re.compile(r"[\x00-\x1f\x7f]")
SEXES = {"male": "M", "man": "M", "m": "M", "female": "F", "woman": "F", "f": "F", "w": "F", "other": "O", "o": "O"}

LONGEST = {"SH": 16, "LO": 64, "ST": 1024, "LT": 10240, "CS": 16, "AE": 16}
"""Characters."""

NUMBERS = {"US": int, "SS": int, "UL": int, "SL": int, "FL": float, "FD": float}
TEXTS = {"AE", "AS", "CS", "DA", "DS", "DT", "IS", "LO", "LT", "PN", "SH", "ST", "TM", "UC", "UI", "UR", "UT"}


def repaired(keyword: str, vr: str, value: Any) -> tuple[Any, bool]:
    """Make a tag's value valid for its kind: the value, or None where it cannot be; whether it was so from the start.

    >>> repaired("StudyDate", "DA", "1950-01-02"), repaired("PatientSex", "CS", "M"), repaired("StudyTime", "TM", "?")
    (('19500102', False), ('M', True), (None, False))
    """
    values = list(value) if isinstance(value, MultiValue | list | tuple) else [value]
    if all(one in (None, "", b"") for one in values):
        return None, True
    found = [_one(keyword, vr, one) for one in values]
    fine = all(valid for _, valid in found)
    if any(one is None for one, _ in found):
        return None, False
    made = [one for one, _ in found]
    return (made if len(made) > 1 else made[0]), fine


def _one(keyword: str, vr: str, value: Any) -> tuple[Any, bool]:
    if vr in NUMBERS:
        with suppress(TypeError, ValueError):
            number = NUMBERS[vr](value)
            validate_value(vr, number, RAISE)
            return number, True
        return None, False
    if vr not in TEXTS:
        return None, False
    text = _text(value)
    if _valid(keyword, vr, text) and not isinstance(value, bytes):
        return text, True
    for candidate in _candidates(keyword, vr, text):
        if candidate and _valid(keyword, vr, candidate):
            return candidate, False
    return None, False


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace").strip("\0 ")
    original = getattr(value, "original_string", None)  # of numbers and dates, as it is stored
    return (original if isinstance(original, str) else str(value)).strip("\0 ")


def _valid(keyword: str, vr: str, text: str) -> bool:
    """Tell whether text is valid, as pydicom and highdicom have it; what could not be decoded is not."""
    if "\ufffd" in text or (keyword == "PatientSex" and text not in ("", "M", "F", "O")):
        return False
    if vr in ("LO", "SH", "PN") and CONTROL.search(text):
        return False
    try:
        validate_value(vr, text, RAISE)
        if vr in KINDS and text:
            KINDS[vr](text)
    except (ValueError, TypeError, OverflowError):
        return False
    return not (vr == "UI" and text and not UID(text).is_valid)


KINDS: dict[str, Callable[[str], Any]] = {"DA": DA, "TM": TM, "DT": DT, "DS": float, "IS": int}
"""Reads what is of the right form but may still be no date (the 31st of February) or number."""


def _candidates(keyword: str, vr: str, text: str) -> Iterable[str]:
    """What may have been meant, the likeliest first. Nothing is guessed: 02/03/1950 is two dates."""
    plain = CONTROL.sub(" ", text)
    if keyword == "PatientSex":
        yield SEXES.get(plain.strip().lower(), "")
    elif vr == "DA":
        if parts := re.fullmatch(r"(\d{4})([-./ ]?)(\d\d)\2(\d\d)(?:[T ].*|\d{6}.*)?", plain):
            yield parts[1] + parts[3] + parts[4]
    elif vr == "TM":
        if parts := re.fullmatch(r"(\d\d):?(\d\d)(?::?(\d\d)(?:[.,](\d{1,6})\d*)?)?", plain):
            yield parts[1] + parts[2] + (parts[3] or "") + (f".{parts[4]}" if parts[4] else "")
    elif vr == "AS":
        if parts := re.fullmatch(r"0*(\d{1,3}) ?([DWMY])", plain.upper()):
            yield parts[1].zfill(3) + parts[2]
    elif vr in ("DS", "IS"):
        yield _number(vr, plain)
    elif vr == "CS":
        yield plain.strip().upper()[: LONGEST["CS"]]
    elif vr == "PN":
        yield "=".join(group.replace("\\", " ")[:64] for group in plain.split("=")[:3])
    elif vr in ("LO", "SH", "ST", "LT", "AE"):
        yield plain[: LONGEST[vr]].strip()


def _number(vr: str, text: str) -> str:
    with suppress(ValueError, OverflowError):
        number = float(text.replace(",", "."))
        if isfinite(number):
            if vr == "DS":
                return format_number_as_ds(number)
            return str(int(number)) if number.is_integer() else ""
    return ""
