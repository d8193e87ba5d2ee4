from __future__ import annotations

import pytest
from pydicom.sr.codedict import codes

from sammix.io.writers.organ_codes import ORGANS, OTHER, organ_code


def test_codes_are_those_of_the_standards_dictionary():
    for name, value in ORGANS.items():
        keyword = "".join(word.capitalize() for word in name.split())
        assert getattr(codes.SCT, keyword).value == value


@pytest.mark.parametrize(
    ("organ", "value", "side"),
    [
        ("liver", "10200004", None),
        ("kidney_left", "64033007", "Left"),
        ("Right Kidney", "64033007", "Right"),
        ("urinary_bladder", "89837001", None),
        ("lung_upper_lobe_left", OTHER.value, None),
    ],
)
def test_organs_are_known_by_their_usual_names(organ, value, side):
    code, modifier = organ_code(organ)
    assert code.value == value
    assert (modifier.meaning if modifier else None) == side
