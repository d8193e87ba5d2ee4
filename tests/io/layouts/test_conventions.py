from __future__ import annotations

from pathlib import Path

import pytest

from sammix.io.layouts.conventions import CONVENTIONS, usual_labels


@pytest.mark.parametrize(
    ("name", "organ", "expected"),
    [
        ("volume-12.nii", "liver", (1, 2)),
        ("liver_3.nii.gz", "liver", (1, 2)),
        ("imaging.nii.gz", "kidney", (1, 2, 3)),
        ("case_00001_0000.nii.gz", "kidney", (1, 2, 3)),
        ("img0001.nii.gz", "liver", (6,)),
        ("img0001.nii.gz", "Right_Kidney", (2,)),
        ("FLARE22_Tr_0001_0000.nii.gz", "liver", (1,)),
        ("amos_0004.nii.gz", "liver", (6,)),
        ("word_0002.nii.gz", "liver", (1,)),
        ("img0001.nii.gz", "lung", None),
        ("scan1.nii.gz", "liver", None),
    ],
)
def test_the_numbers_of_well_known_data_sets(name, organ, expected):
    assert usual_labels(Path("anywhere") / name, organ) == expected


def test_how_many_organs_they_publish():
    """BTCV and FLARE22 have 13, AMOS 15, WORD 16."""
    counts = {data: len(names) for data, (_, names) in CONVENTIONS.items()}
    assert [counts[data] for data in ("BTCV", "FLARE", "AMOS", "WORD")] == [13, 13, 15, 16]
