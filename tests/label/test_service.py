from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from sammix.errors import InputError
from sammix.label.mask_files import name_of
from sammix.label.service import GIVEN, RefusedError, Service, as_mask
from sammix.label.slicer_masks import Submitted


def labels(service: Service, number: int = 0) -> list[int | None]:
    return [one.label for one in service.answers(service.opened(number))]


def test_two_keys_answer_a_whole_scan(service: Service) -> None:
    service.mark("ada", 0, 7, None)
    assert labels(service) == [None] * 12
    assert service.mark("ada", 0, None, 4) == (4, 7)  # in whichever order
    assert labels(service) == [0] * 4 + [1] * 4 + [0] * 4
    assert service.answer(0, 5).label_how == "range"
    service.undo("ada")
    assert labels(service) == [None] * 12


def test_slices_that_were_left_open_stay_so(service: Service) -> None:
    service.say("ada", 0, 5, -1)
    service.mark("ada", 0, 4, 7)
    assert labels(service)[4:8] == [1, -1, 1, 1]


def test_a_later_end_moves_the_range(service: Service) -> None:
    service.mark("ada", 0, 4, 7)
    service.mark("ada", 0, None, 9)
    assert labels(service) == [0] * 4 + [1] * 6 + [0] * 2


def test_a_drawing_outside_the_ends_is_no_silent_loss(service: Service, disc: np.ndarray) -> None:
    service.draw("ada", 0, 2, disc)
    with pytest.raises(RefusedError, match="slice 3 has a drawing but lies outside 5 to 8"):
        service.mark("ada", 0, 4, 7)
    assert labels(service)[2] == 1
    assert service.mask(0, 2) is not None


def test_a_drawing_says_yes_and_a_no_takes_it_back(service: Service, disc: np.ndarray) -> None:
    service.draw("ada", 0, 5, disc)
    assert service.answer(0, 5).label == 1
    service.say("ada", 0, 5, 1)
    np.testing.assert_array_equal(service.mask(0, 5), disc)
    service.say("ada", 0, 5, 0)
    assert service.mask(0, 5) is None
    service.undo("ada")
    np.testing.assert_array_equal(service.mask(0, 5), disc)


def test_an_empty_drawing_takes_back_what_the_drawing_said(service: Service, disc: np.ndarray) -> None:
    service.draw("ada", 0, 5, disc)
    service.draw("ada", 0, 5, disc & False)
    assert service.answer(0, 5).label is None
    service.say("ada", 0, 6, 1)
    service.draw("ada", 0, 6, disc)
    service.draw("ada", 0, 6, disc & False)
    assert (service.answer(0, 6).label, service.answer(0, 6).mask) == (1, None)


def test_how_a_mask_came_about_is_decided_here(service: Service, disc: np.ndarray) -> None:
    name = service.issue(disc, "accepted", "model-2")
    service.draw("ada", 0, 5, disc, basis=name)
    assert (service.answer(0, 5).mask_how, service.answer(0, 5).model) == ("accepted", "model-2")
    changed = disc.copy()
    changed[:3] = True
    service.draw("ada", 0, 5, changed)
    assert (service.answer(0, 5).mask_how, service.answer(0, 5).model) == ("corrected", "model-2")
    service.draw("ada", 0, 6, changed, basis=name)
    assert service.answer(0, 6).mask_how == "corrected"
    service.draw("ada", 0, 7, disc, basis="f" * 64)  # nobody proposed that
    assert (service.answer(0, 7).mask_how, service.answer(0, 7).model) == ("drawn", None)


def test_interpolated_slices_are_one_gesture(service: Service, disc: np.ndarray) -> None:
    service.draw("ada", 0, 3, disc)
    with pytest.raises(RefusedError, match="between two"):
        service.interpolated(0, 5)
    service.draw("ada", 0, 7, np.roll(disc, 4, axis=0))
    lower, upper, masks = service.interpolated(0, 5)
    assert (lower, upper, sorted(masks)) == (3, 7, [4, 5, 6])
    assert labels(service)[5] is None  # shown, not kept
    service.accept("ada", 0, masks, "interpolated")
    assert [service.answer(0, n).mask_how for n in (4, 5, 6)] == ["interpolated"] * 3
    service.undo("ada")
    assert labels(service)[4:7] == [None] * 3


def test_the_datas_own_labels_are_known_and_stay_with_a_yes(
    make_service: Callable[[Path], Service], hospital_a: Path
) -> None:
    service = make_service(hospital_a)
    drawn = [n for n, one in enumerate(service.answers(service.opened(0))) if one.mask]
    assert service.answer(0, drawn[0]).mask == GIVEN
    before = service.mask(0, drawn[0])
    service.say("ada", 0, drawn[0], 1)
    np.testing.assert_array_equal(service.mask(0, drawn[0]), before)
    assert service.answer(0, drawn[0]).mask_how == "imported"
    service.say("ada", 0, drawn[0], 0)
    assert service.mask(0, drawn[0]) is None
    service.undo("ada")
    service.undo("ada")
    assert service.answer(0, drawn[0]).mask == GIVEN


def test_what_another_program_drew_is_one_gesture_and_leaves_the_rest_alone(service: Service, disc: np.ndarray) -> None:
    service.draw("bob", 0, 3, disc)
    service.draw("bob", 0, 4, disc)
    other = np.roll(disc, 3)
    drawn = Submitted({4: disc, 5: disc, 6: other}, frozenset({8}), complete=False)
    told = service.submit("ada", 0, drawn, {5: (name_of(disc), "model-1"), 6: (name_of(disc), "model-1")})
    assert told == {"drawn": 2, "no": 1, "unchanged": 1}
    assert labels(service) == [None] * 3 + [1] * 4 + [None, 0] + [None] * 3
    assert [service.answer(0, k).who for k in (3, 4, 5)] == ["bob", "bob", "ada"]
    how = [(service.answer(0, k).mask_how, service.answer(0, k).model) for k in (4, 5, 6)]
    assert how == [("drawn", None), ("accepted", "model-1"), ("corrected", "model-1")]
    service.undo("ada")
    assert labels(service) == [None] * 3 + [1, 1] + [None] * 7


def test_what_is_drawn_elsewhere_alone_came_from_there(service: Service, disc: np.ndarray) -> None:
    service.submit("ada", 0, Submitted({5: disc}, frozenset(), complete=False))
    answer = service.answer(0, 5)
    assert (answer.label, answer.label_how, answer.mask_how) == (1, "slicer", "slicer")
    assert service.submit("ada", 0, Submitted({5: disc}, frozenset(), complete=False))["unchanged"] == 1
    assert service.project.record.count() == 1


def test_a_scan_said_to_be_complete_is_no_elsewhere_but_for_what_was_left_open(
    service: Service, disc: np.ndarray
) -> None:
    service.say("ada", 0, 2, -1)
    service.submit("ada", 0, Submitted({5: disc}, frozenset(), complete=True))
    assert labels(service) == [0, 0, -1, 0, 0, 1, 0, 0, 0, 0, 0, 0]
    service.draw("ada", 0, 9, disc)
    with pytest.raises(RefusedError, match="slice 10 has a drawing here"):
        service.submit("ada", 0, Submitted({5: disc}, frozenset(), complete=True))
    service.submit("ada", 0, Submitted({5: disc}, frozenset({9}), complete=True))
    assert labels(service)[9] == 0


@pytest.mark.parametrize("place", [(-1, 0), (3, 0), (0, -1), (0, 12)])
def test_what_is_not_there_is_refused(service: Service, place: tuple[int, int]) -> None:
    with pytest.raises(RefusedError, match="there is no"):
        service.say("ada", *place, 1)
    with pytest.raises(RefusedError, match="there is no"):
        service.mark("ada", *place, None)


def test_a_mask_of_another_size_is_refused(service: Service) -> None:
    with pytest.raises(RefusedError, match="72"):
        service.draw("ada", 0, 0, np.ones((71, 72), bool))
    with pytest.raises(RefusedError, match="12 bytes, not 11"):
        as_mask(b"\0" * 11, (3, 4))
    with pytest.raises(RefusedError, match="0 and 1 only"):
        as_mask(b"\2" * 12, (3, 4))


def test_a_damaged_mask_is_named_and_no_empty_one_is_shown(service: Service, disc: np.ndarray) -> None:
    service.draw("ada", 0, 5, disc)
    for file in service.project.masks.folder.rglob("*.png"):
        file.write_bytes(b"")
    with pytest.raises(InputError, match="damaged"):
        service.mask(0, 5)


def test_undo_leads_to_where_it_was(service: Service) -> None:
    service.say("ada", 1, 8, 1)
    assert service.undo("ada") == (1, 8)
    assert service.undo("ada", redo=True) == (1, 8)
    assert service.undo("bob") is None
