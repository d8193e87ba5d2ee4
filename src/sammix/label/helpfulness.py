"""What helps most next: which scan's ends are least certain, and which slice is worth a drawing.

Nothing here needs a network; it is told what the network said.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sammix.label.gestures import Answer
from sammix.label.known import held_out_patients
from sammix.label.service import Service

FIRST_DRAWINGS = 5
"""Drawings, one a patient, that come before further scans are answered: with them a first model finds the organ."""

ENOUGH_TO_MEASURE, HELD_OUT_WEIGHT = 2, 0.25
"""Drawings of patients that are held out to measure on, and what a further one weighs: nothing is learned from it."""

Said = Mapping[int, tuple[float, float | None]]
"""Presence and doubt of a scan's slices, of those that the model has looked at."""


@dataclass(frozen=True)
class StackState:
    """What is known of a stack of n slices.

    Attributes:
        number: of the stack. patient: whose it is.
        labels: of each slice 1, 0, -1 left open, None not answered; empty where the stack was not read yet.
        drawn: whether each slice has a mask.
        presence, doubt: what the model says of each slice, None where it has not looked; empty where it said nothing.
        held_out: the patient is measured on, and not learned from.
    """

    number: int
    patient: str
    labels: Sequence[int | None]
    drawn: Sequence[bool]
    presence: Sequence[float | None] = ()
    doubt: Sequence[float | None] = ()
    held_out: bool = False


@dataclass(frozen=True)
class Suggested:
    """A stack in its place in the list: the slice to go to (None: wherever), what to do there, and why, in words."""

    stack: int
    slice: int | None
    todo: Literal["answer", "draw", "nothing"]
    why: str
    rank: float


def states_of(service: Service, said_of: Callable[[str], Said]) -> list[StackState]:
    """Tell what is known of each stack without reading it; of one that is open, what the data says as well.

    Args:
        said_of: what the model in use says of a scan, by its name.
    """
    held_out = held_out_patients(service.collection)
    states = []
    for number, stack in enumerate(service.collection.stacks):
        opened = service.shelf.at_hand_now(number)
        said = {case.name: said_of(case.name) for case in stack.cases}
        if opened is not None:
            places, answers = list(opened.places), service.answers(opened)
        else:
            current = {case.name: service.project.record.current(case.name) for case in stack.cases}
            length = {name: 1 + max([*said[name], *of, -1]) for name, of in current.items()}
            places = [(case.name, z) for case in stack.cases for z in range(length[case.name])]
            answers = [current[name].get(z, Answer()) for name, z in places]
        looked = [said[name].get(z, (None, None)) for name, z in places]
        states.append(
            StackState(
                number,
                stack.patient,
                [one.label for one in answers],
                [one.mask is not None for one in answers],
                [presence for presence, _ in looked],
                [doubt for _, doubt in looked],
                stack.patient in held_out,
            )
        )
    return states


def in_order(stacks: Sequence[StackState]) -> list[Suggested]:
    """Put stacks in the order in which they help, the best first; those without anything to do come last.

    Before a model is there, scans are answered in their own order, and of the first patients one slice each is drawn.
    With one, a scan ranks by its slice that ranks highest: an unanswered one by how uncertain its presence is
    (4·p·(1 - p)), one without a mask by doubt × presence × distance. The distance is that to the next drawing or end of
    the organ, 1 in the middle of a scan without any: the ends of an organ are doubted most, and teach least. Each
    drawing of a patient lets other patients pass before; once a few are drawn to measure on, patients held out do, too.
    """
    drawings: dict[str, int] = {}
    for stack in stacks:
        drawings[stack.patient] = drawings.get(stack.patient, 0) + sum(stack.drawn)
    few = sum(map(bool, drawings.values())) < FIRST_DRAWINGS
    measured = sum(sum(stack.drawn) for stack in stacks if stack.held_out) >= ENOUGH_TO_MEASURE
    found = [_of_one(stack, drawings[stack.patient], few, measured and stack.held_out) for stack in stacks]
    return sorted(found, key=lambda one: -one.rank)


def _of_one(stack: StackState, drawings: int, few: bool, spare: bool) -> Suggested:
    if not any(p is not None for p in stack.presence):
        return _without_model(stack, drawings, few and not spare)
    n, labels = stack.number, list(stack.labels) or [None] * len(stack.presence)
    presence = np.array([0.0 if p is None else p for p in stack.presence])
    looked = np.array([p is not None for p in stack.presence])
    doubt = np.array([0.0 if d is None else d for d in stack.doubt] or [0.0] * len(presence))
    drawn = np.array(list(stack.drawn) or [False] * len(labels))
    open_, known_yes = (np.array([label == wanted for label in labels]) for wanted in (None, 1))
    weight = np.where(known_yes, 1.0, np.where(open_, presence, 0.0))
    to_answer = np.where(open_ & looked, 4 * presence * (1 - presence), 0.0)
    to_draw = np.where(~drawn & looked, doubt * weight * _distance(weight > 0.5, drawn), 0.0) / (1 + drawings)
    to_draw *= HELD_OUT_WEIGHT if spare else 1.0
    best = max(float(to_answer.max()), float(to_draw.max()))
    if best <= 0:
        return Suggested(n, None, "nothing", "answered", 0.0)
    if to_answer.max() >= best:
        k = int(to_answer.argmax())
        return Suggested(n, k, "answer", f"slice {k + 1}: yes or no? {presence[k]:.0%}", best)
    k = int(to_draw.argmax())
    why = "the model says no" if known_yes[k] and presence[k] < 0.5 else f"doubt {doubt[k]:.2f}"
    return Suggested(n, k, "draw", f"draw slice {k + 1}: {why}", best)


def _without_model(stack: StackState, drawings: int, few: bool) -> Suggested:
    n, missing = stack.number, [k for k, label in enumerate(stack.labels) if label is None]
    if len(missing) == len(stack.labels):
        return Suggested(n, None, "answer", "not answered", 1.0)
    if missing:
        return Suggested(n, missing[0], "answer", f"{len(missing)} slices not answered", 0.9)
    yes = [k for k, label in enumerate(stack.labels) if label == 1]
    if yes and not drawings:
        return Suggested(n, yes[len(yes) // 2], "draw", "nothing drawn yet", 1.5 if few else 0.5)
    return Suggested(n, None, "nothing", "answered", 0.0)


def _distance(shows: NDArray[np.bool_], drawn: NDArray[np.bool_]) -> NDArray[np.float64]:
    """(n,) of each slice to the next drawn one or end of the organ; half of the organ's own length is 1."""
    if not shows.any():
        return np.zeros(len(shows))
    first, last = np.flatnonzero(shows)[[0, -1]]
    known = np.concatenate([np.flatnonzero(drawn), [first - 1, last + 1]])
    far: NDArray[np.float64] = np.abs(np.arange(len(shows))[:, None] - known).min(axis=1) / ((last - first + 2) / 2)
    far[:first] = far[last + 1 :] = 0
    return far
