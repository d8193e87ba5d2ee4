from __future__ import annotations

import numpy as np

from sammix.inference.evidence import SliceEvidence
from sammix.inference.slices import SliceFinding


def test_evidence_is_what_was_found_with_the_mask_at_one_half() -> None:
    probability = np.array([[0.5, 0.49], [0.9, 0.0]], np.float32)
    cam, box = np.ones((2, 2), np.float32), np.array([0, 0, 1, 1], np.float32)
    found = SliceFinding(probability, probability > 0.8, 0.7, 0.2, 0.1, cam, box, "cam")
    kept = SliceEvidence.of(3, np.zeros((2, 2), np.float32), found)
    assert kept.mask.tolist() == [[True, False], [True, False]]
    assert (kept.index, kept.presence, kept.cam is cam, kept.box is box) == (3, 0.7, True, True)
