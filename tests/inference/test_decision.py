"""What is said where a scan's slices together overrule one by itself."""

from __future__ import annotations

from sammix.inference.decision import Decision
from sammix.inference.extent import each_by_itself


def test_all_that_was_overruled_is_said_and_kept() -> None:
    decision = Decision(each_by_itself([0.9, 0.1, 0.9, 0.9, 0.2, 0.9]), [0, 7, 8, 9], [4], 2)
    assert decision.record() == {
        "extent": [0, 5],
        "dropped_slices": [0, 7, 8, 9],
        "bridged_slices": [4],
        "corrected_slices": [],
        "dropped_parts": 2,
    }
    dropped, bridged, parts = decision.lines()
    assert dropped.endswith("though the classifier says yes: slices 0, 7 to 9")
    assert bridged.endswith("though the classifier says no: slice 4")
    assert parts.startswith("2 small parts of the mask dropped")


def test_where_nothing_was_overruled_nothing_is_said() -> None:
    decision = Decision(each_by_itself([0.1, 0.2]), [], [], 0)
    assert decision.record()["extent"] is None
    assert decision.lines() == []
