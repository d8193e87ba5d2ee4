from __future__ import annotations

from sammix.label.helpfulness import StackState, in_order

NONE = [None] * 4


def state(number: int, **known: object) -> StackState:
    facts = {"patient": f"p{number}", "labels": NONE, "drawn": [False] * 4, **known}
    return StackState(number, **facts)  # type: ignore[arg-type]


def test_without_a_model_unanswered_scans_come_first_in_their_order() -> None:
    stacks = [state(0, labels=[0, 1, 1, 0], drawn=[False, True, False, False]), state(1, labels=[]), state(2)]
    assert [one.stack for one in in_order(stacks)] == [1, 2, 0]


def test_a_scan_that_is_answered_half_leads_to_its_first_open_slice() -> None:
    (one,) = in_order([state(0, labels=[0, 1, None, None])])
    assert (one.slice, one.why) == (2, "2 slices not answered")


def test_a_scan_of_uncertain_presence_comes_before_a_sure_one() -> None:
    sure = state(0, presence=[0.01, 0.99, 0.99, 0.01], doubt=[0.0] * 4)
    unsure = state(1, presence=[0.01, 0.99, 0.55, 0.01], doubt=[0.0] * 4)
    first, second = in_order([sure, unsure])
    assert (first.stack, first.slice) == (1, 2)
    assert second.rank < 0.1


def test_an_answered_scan_leads_to_the_slice_worth_a_drawing() -> None:
    known = {"labels": [0, 1, 1, 1], "presence": [0.9, 0.9, 0.9, 0.1], "doubt": [0.9, 0.2, 0.5, 0.4]}
    (one,) = in_order([state(0, drawn=[False] * 4, **known)])
    assert (one.slice, one.why) == (2, "draw slice 3: doubt 0.50")  # not the one that was answered no
    (one,) = in_order([state(0, drawn=[False, True, True, False], **known)])
    assert (one.slice, one.why) == (3, "draw slice 4: the model says no")


def test_patients_with_drawings_let_others_pass() -> None:
    known = {"labels": [1, 1, 1, 1], "presence": [0.9] * 4}
    often = state(0, drawn=[True, True, False, False], doubt=[0.5] * 4, **known)
    never = state(1, doubt=[0.4] * 4, **known)
    assert [one.stack for one in in_order([often, never])] == [1, 0]


def test_where_all_is_done_nothing_is_asked() -> None:
    (one,) = in_order([state(0, labels=[1] * 4, drawn=[True] * 4, presence=[0.9] * 4, doubt=[0.5] * 4)])
    assert (one.slice, one.why, one.rank) == (None, "answered", 0.0)
