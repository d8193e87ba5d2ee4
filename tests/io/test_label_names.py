from __future__ import annotations

import pytest

from sammix.io.label_names import ignored_by, labels_of

ORGANS = {"spleen": (1,), "Liver": (6,), "left_kidney": (3,)}


@pytest.mark.parametrize(
    ("organ", "names", "expected"),
    [
        ("liver", {"liver": (1,), "cancer": (2,)}, (1, 2)),
        ("liver", {"liver": (1,), "Liver tumour": (2,), "ignore": (3,)}, (1, 2)),
        ("liver", {"liver": (1, 2), "tumour": (2,)}, (1, 2)),
        ("liver", ORGANS, (6,)),
        ("left kidney", ORGANS, (3,)),
        ("kidney", ORGANS, None),
        ("liver", {"liver vessels": (1,)}, None),
    ],
)
def test_an_organ_and_its_lesions(organ, names, expected):
    assert labels_of(organ, names) == expected


def test_what_is_called_ignore():
    assert ignored_by({"liver": (1,), "Ignore": (2,)}) == (2,)
    assert ignored_by(ORGANS) == ()
