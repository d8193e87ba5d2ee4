from __future__ import annotations

import numpy as np

from sammix.label.helpfulness import FIRST_DRAWINGS, StackState, in_order, states_of
from sammix.label.service import Service

NONE = [None] * 4


def state(number: int, **known: object) -> StackState:
    facts = {"patient": f"p{number}", "labels": NONE, "drawn": [False] * 4, **known}
    return StackState(number, **facts)  # type: ignore[arg-type]


def test_without_a_model_unanswered_scans_come_first_in_their_order() -> None:
    stacks = [state(0, labels=[0, 1, 1, 0], drawn=[False, True, False, False]), state(1, labels=[]), state(2)]
    assert [one.stack for one in in_order(stacks)] == [1, 2, 0]


def test_without_a_model_a_few_scans_are_drawn_once_before_the_others_are_answered() -> None:
    answered = {"labels": [0, 1, 1, 1]}
    first, *_ = in_order([state(0), state(1, **answered)])
    assert (first.stack, first.slice, first.todo, first.why) == (1, 2, "draw", "nothing drawn yet")
    measured = [state(n, labels=[1] * 4, drawn=[True] * 4, held_out=True) for n in (7, 8)]
    assert in_order([state(0), state(1, held_out=True, **answered)])[0].stack == 1
    assert in_order([state(0), state(1, held_out=True, **answered), *measured])[0].stack == 0
    enough = [state(9 + n, labels=[1] * 4, drawn=[True] * 4) for n in range(FIRST_DRAWINGS)]
    assert [one.stack for one in in_order([state(0), state(1, **answered), *enough])][:2] == [0, 1]


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


def test_ends_of_the_organ_and_slices_beside_a_drawing_come_later() -> None:
    known = {"labels": [0, *[1] * 7, 0], "presence": [0.0, *[1.0] * 7, 0.0], "doubt": [0.0, 0.6, *[0.3] * 5, 0.6, 0.0]}
    (one,) = in_order([state(0, drawn=[False] * 9, **known)])
    assert one.slice == 4  # the middle, though the ends are doubted twice as much
    (one,) = in_order([state(0, drawn=[False, False, True, *[False] * 6], **known)])
    assert one.slice in (4, 5)


def test_patients_that_are_measured_on_are_drawn_later_once_there_is_enough_to_measure() -> None:
    known = {"labels": [1, 1, 1, 1], "presence": [0.9] * 4}
    held_out, other = state(0, doubt=[0.8] * 4, held_out=True, **known), state(1, doubt=[0.3] * 4, **known)
    assert [one.stack for one in in_order([held_out, other])] == [0, 1]
    measured = state(2, doubt=[0.0] * 4, drawn=[True, True, False, False], held_out=True, **known)
    assert [one.stack for one in in_order([held_out, other, measured])] == [1, 0, 2]


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
