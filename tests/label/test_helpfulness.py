from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sammix.label.helpfulness import (
    ENOUGH_TO_LEARN,
    ENOUGH_TO_MEASURE,
    FIRST_DRAWINGS,
    StackState,
    in_order,
    states_of,
)
from sammix.label.service import Service

NONE = [None] * 4


def state(number: int, **known: object) -> StackState:
    facts = {"patient": f"p{number}", "labels": NONE, "drawn": [False] * 4, **known}
    return StackState(number, **facts)  # type: ignore[arg-type]


def enough(count: int = FIRST_DRAWINGS, drawn: int = 1) -> list[StackState]:
    """Patients of whom so many slices each are drawn."""
    marks = [n < drawn for n in range(4)]
    return [state(100 + n, labels=[1] * 4, drawn=marks, presence=[1.0] * 4, doubt=[0.0] * 4) for n in range(count)]


def test_first_scan_after_scan_is_answered_and_its_middle_drawn() -> None:
    answered = {"labels": [0, 1, 1, 1]}
    first, second = in_order([state(0), state(1, **answered)])
    assert (first.stack, first.slice, first.todo) == (1, 2, "draw")
    assert first.why == "draw slice 3: the middle of a new patient"
    assert (second.stack, second.todo, second.why) == (0, "answer", "not answered")
    drawn = state(1, drawn=[False, False, True, False], **answered)
    assert [one.stack for one in in_order([drawn, state(2), state(3)])] == [2, 3, 1]


def test_the_first_drawings_are_of_different_patients_whatever_a_model_doubts() -> None:
    known = {"labels": [1] * 4, "presence": [0.9] * 4, "doubt": [0.9] * 4}
    begun = state(0, drawn=[True, False, False, False], **known)
    other_scan = state(1, patient="p0", drawn=[False] * 4, **known)
    other_patient = state(2, labels=[1] * 4)
    assert in_order([begun, other_scan, other_patient])[0].stack == 2
    assert in_order([begun, other_scan, other_patient, *enough()])[-1].stack != 0  # then doubt counts


def test_a_model_that_came_with_the_labelling_is_asked_from_the_start() -> None:
    known = {"labels": [1] * 4, "presence": [0.9] * 4}
    sure, unsure = state(0, doubt=[0.1] * 4, **known), state(1, doubt=[0.1, 0.8, 0.1, 0.1], **known)
    assert in_order([sure, unsure])[0].why == "draw slice 3: the middle of a new patient"
    first = in_order([sure, unsure], taught=True)[0]
    assert (first.stack, first.slice, first.why) == (1, 1, "draw slice 2: doubt 0.80")


def test_patients_held_out_wait_until_there_is_enough_to_learn_from() -> None:
    known = {"labels": [1] * 4, "presence": [0.9] * 4}
    held_out = state(0, doubt=[0.8] * 4, held_out=True, **known)
    other = state(1, doubt=[0.1] * 4, **known)
    assert [one.stack for one in in_order([held_out, other])] == [1, 0]
    assert in_order([held_out, other, *enough()])[0].stack == 1
    assert "nothing" in {one.todo for one in in_order([held_out, *enough()])}
    (first, *_) = in_order([held_out, other, *enough(ENOUGH_TO_LEARN)])
    assert (first.stack, first.why) == (0, "draw slice 2: doubt 0.80, to measure on")
    spare = [True] * ENOUGH_TO_MEASURE
    measured = state(2, labels=[1] * 5, drawn=spare, presence=[1.0] * 5, doubt=[0.0] * 5, held_out=True)
    weaker = state(0, doubt=[0.3] * 4, held_out=True, **known)
    assert in_order([weaker, other, measured, *enough(ENOUGH_TO_LEARN)])[0].stack == 1


def test_without_a_model_the_other_scans_are_answered_in_their_order() -> None:
    stacks = [state(0, labels=[0, 1, 1, 0], drawn=[False, True, False, False]), state(1, labels=[]), state(2)]
    assert [one.stack for one in in_order([*stacks, *enough()])][:3] == [1, 2, 0]


STATES = st.lists(
    st.builds(
        lambda patient, labels, drawn, presence, held_out: StackState(
            0,
            f"p{patient}",
            labels,
            [mark and label == 1 for mark, label in zip(drawn, labels, strict=True)],
            [presence] * 6,
            [presence] * 6,
            held_out,
        ),
        st.integers(0, 9),
        st.lists(st.sampled_from([None, 0, 1, -1]), min_size=6, max_size=6),
        st.lists(st.booleans(), min_size=6, max_size=6),
        st.none() | st.floats(0, 1),
        st.booleans(),
    ),
    min_size=1,
    max_size=12,
)


@given(STATES)
def test_whatever_is_known_each_stack_is_named_once_and_nothing_is_asked_twice(found: list[StackState]) -> None:
    own = [replace(one, number=n, held_out=int(one.patient[1:]) < 3) for n, one in enumerate(found)]
    order = in_order(own)
    assert sorted(one.stack for one in order) == list(range(len(own)))
    assert [one.rank for one in order] == sorted((one.rank for one in order), reverse=True)
    for one in order:
        stack = own[one.stack]
        assert (one.rank > 0) == (one.todo != "nothing")
        if one.todo == "draw":
            assert one.slice is not None
            assert not stack.drawn[one.slice]
            assert stack.labels[one.slice] in (None, 1)
        if one.todo == "answer" and one.slice is not None:
            assert stack.labels[one.slice] is None
    drawn = [one for one in own if not one.held_out and any(one.drawn)]
    if len({one.patient for one in drawn}) < FIRST_DRAWINGS and order[0].todo == "draw":
        patient = own[order[0].stack].patient
        mine = [one for one in own if one.patient == patient]
        fresh = not own[order[0].stack].held_out and not any(any(one.drawn) for one in mine)
        waiting = [
            one
            for one in own
            if not one.held_out and 1 in one.labels and not any(any(o.drawn) for o in own if o.patient == one.patient)
        ]
        assert fresh or not waiting


def test_a_scan_that_is_answered_half_leads_to_its_first_open_slice() -> None:
    one, *_ = in_order([state(0, labels=[0, 1, None, None]), *enough()])
    assert (one.slice, one.why) == (2, "2 slices not answered")


def test_a_scan_of_uncertain_presence_comes_before_a_sure_one() -> None:
    sure = state(0, presence=[0.01, 0.99, 0.99, 0.01], doubt=[0.0] * 4)
    unsure = state(1, presence=[0.01, 0.99, 0.55, 0.01], doubt=[0.0] * 4)
    first, second, *_ = in_order([sure, unsure, *enough()])
    assert (first.stack, first.slice) == (1, 2)
    assert second.rank < 0.1


def test_an_answered_scan_leads_to_the_slice_worth_a_drawing() -> None:
    known = {"labels": [0, 1, 1, 1], "presence": [0.9, 0.9, 0.9, 0.1], "doubt": [0.9, 0.2, 0.5, 0.4]}
    one, *_ = in_order([state(0, drawn=[False] * 4, **known), *enough()])
    assert (one.slice, one.why) == (2, "draw slice 3: doubt 0.50")  # not the one that was answered no
    one, *_ = in_order([state(0, drawn=[False, True, True, False], **known), *enough()])
    assert (one.slice, one.why) == (3, "draw slice 4: the model says no")


def test_patients_with_drawings_let_others_pass() -> None:
    known = {"labels": [1, 1, 1, 1], "presence": [0.9] * 4}
    often = state(0, drawn=[True, True, False, False], doubt=[0.5] * 4, **known)
    never = state(1, doubt=[0.4] * 4, **known)
    assert [one.stack for one in in_order([often, never, *enough()])][:2] == [1, 0]


def test_ends_of_the_organ_and_slices_beside_a_drawing_come_later() -> None:
    known = {"labels": [0, *[1] * 7, 0], "presence": [0.0, *[1.0] * 7, 0.0], "doubt": [0.0, 0.6, *[0.3] * 5, 0.6, 0.0]}
    one, *_ = in_order([state(0, drawn=[False] * 9, **known), *enough()])
    assert one.slice == 4  # the middle, though the ends are doubted twice as much
    one, *_ = in_order([state(0, drawn=[False, False, True, *[False] * 6], **known), *enough()])
    assert one.slice in (4, 5)


def test_what_is_known_of_a_stack_needs_no_reading_of_it(service: Service, disc: np.ndarray) -> None:
    service.say("ada", 1, 2, 0)
    service.draw("ada", 1, 4, disc)
    service.shelf._open.clear()
    said = {"volume-1": {6: (0.7, 0.2)}}
    states = states_of(service, lambda case: said.get(case, {}))
    assert [one.labels for one in states] == [[], [None, None, 0, None, 1, None, None], []]
    assert states[1].drawn[4]
    assert (states[1].presence[6], states[1].doubt[6]) == (0.7, 0.2)
    service.opened(1)
    assert len(states_of(service, lambda case: {})[1].labels) == 12


def test_where_all_is_done_nothing_is_asked() -> None:
    (one,) = in_order([state(0, labels=[1] * 4, drawn=[True] * 4, presence=[0.9] * 4, doubt=[0.5] * 4)])
    assert (one.slice, one.why, one.rank) == (None, "answered", 0.0)
