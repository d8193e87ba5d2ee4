"""How well-known data sets number their organs, where no file beside the masks says it."""

from __future__ import annotations

import re
from pathlib import Path

from sammix.io.label_names import Names
from sammix.io.readers.formats import stem

BTCV = "spleen, right kidney, left kidney, gallbladder, esophagus, liver, stomach, aorta, inferior vena cava"
BTCV += ", portal vein and splenic vein, pancreas, right adrenal gland, left adrenal gland"
FLARE = "liver, right kidney, spleen, pancreas, aorta, inferior vena cava, right adrenal gland, left adrenal gland"
FLARE += ", gallbladder, esophagus, stomach, duodenum, left kidney"
AMOS = "spleen, right kidney, left kidney, gallbladder, esophagus, liver, stomach, aorta, postcava, pancreas"
AMOS += ", right adrenal gland, left adrenal gland, duodenum, bladder, prostate or uterus"
WORD = "liver, spleen, left kidney, right kidney, stomach, gallbladder, esophagus, pancreas, duodenum, colon"
WORD += ", intestine, adrenal, rectum, bladder, head of femur left, head of femur right"


def _numbered(names: str) -> Names:
    return {name: (number,) for number, name in enumerate(names.split(", "), start=1)}


CONVENTIONS: dict[str, tuple[re.Pattern[str], Names]] = {
    "LiTS": (re.compile(r"(?:volume-|liver_)\d+(?:_0000)?"), {"liver": (1, 2)}),  # the tumours lie in it
    "KiTS": (re.compile(r"imaging|case_\d{5}(?:_0000)?"), {"kidney": (1, 2, 3)}),  # tumours and cysts too
    "BTCV": (re.compile(r"img\d{4}"), _numbered(BTCV)),
    "FLARE": (re.compile(r"flare.*", re.IGNORECASE), _numbered(FLARE)),
    "AMOS": (re.compile(r"amos_\d+(?:_0000)?"), _numbered(AMOS)),
    "WORD": (re.compile(r"word_\d+(?:_0000)?"), _numbered(WORD)),
}
"""By the names of their scans."""


def usual_labels(image: Path, organ: str) -> tuple[int, ...] | None:
    """Find the numbers that an organ has in the data set that a scan's name is typical of; None: none is known."""
    for pattern, names in CONVENTIONS.values():
        if pattern.fullmatch(stem(image)):
            return names.get(organ.lower().replace("_", " "))
    return None
