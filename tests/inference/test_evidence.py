from __future__ import annotations

import numpy as np

from sammix.inference.decision import Decision
from sammix.inference.evidence import MOST, SliceEvidence, worth_seeing
from sammix.inference.extent import each_by_itself
from sammix.inference.slices import SliceFinding


def test_evidence_is_what_was_found_with_the_mask_at_one_half() -> None:
    probability = np.array([[0.5, 0.49], [0.9, 0.0]], np.float32)
    cam, box = np.ones((2, 2), np.float32), np.array([0, 0, 1, 1], np.float32)
    found = SliceFinding(probability, probability > 0.8, 0.7, 0.2, 0.1, cam, box, "cam")
    kept = SliceEvidence.of(3, np.zeros((2, 2), np.float32), found)
    assert kept.mask.tolist() == [[True, False], [True, False]]
    assert (kept.index, kept.presence, kept.cam is cam, kept.box is box) == (3, 0.7, True, True)


def decided(presence: list[float], dropped: list[int], bridged: list[int]) -> Decision:
    return Decision(each_by_itself(presence), dropped, bridged, 0)


def test_slices_worth_seeing_are_the_ends_what_was_overruled_and_what_is_doubted() -> None:
    area = np.array([0, 0, 5, 60, 80, 90, 70, 0, 0, 0, 0, 3, 0, 0])
    presence = np.full(14, 0.5, np.float32)
    doubt = np.zeros(14, np.float32)
    doubt[[3, 6]] = 0.3, 0.9
    chosen = worth_seeing(area, presence, doubt, decided(presence.tolist(), [8, 9], [4]))
    assert list(chosen.items()) == [
        (11, "upper end"),
        (2, "lower end"),
        (8, "emptied"),
        (4, "kept"),
        (6, "contradiction"),
        (5, "largest section"),
        (9, "emptied"),
        (3, "contradiction"),
    ]


def test_of_many_emptied_slices_the_likeliest_are_seen_and_no_more_than_a_few_in_all() -> None:
    area, presence = np.zeros(200, np.int64), np.linspace(0.5, 1, 200).astype(np.float32)
    area[10:20] = 100
    chosen = worth_seeing(area, presence, None, decided(presence.tolist(), list(range(100, 200)), []))
    assert len(chosen) == MOST
    assert 199 in chosen
    assert 100 not in chosen


def test_of_an_empty_scan_the_likeliest_slices_are_seen() -> None:
    presence = np.array([0.1, 0.4, 0.2, 0.3], np.float32)
    chosen = worth_seeing(np.zeros(4, np.int64), presence, None, decided(presence.tolist(), [], []))
    assert list(chosen) == [1, 3, 2]
