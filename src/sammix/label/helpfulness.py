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
"""Patients that are learned from of whom one slice each is drawn before all else: its middle.

Two such drawings taught the organ in each of four trials, two by lot in two of three (benchmarks/RESULTS.md, "Which
slices first")."""

ENOUGH_TO_LEARN, ENOUGH_TO_MEASURE = 10, 5
"""Drawings of patients that are learned from before those are drawn who are held out to measure on: of their slices
nothing is learned. And how many of those tell anything."""

HELD_OUT_WEIGHT = 0.25
"""What a further drawing of held-out patients weighs, and an answer while there is too little to learn from."""

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
        whole: it is one scan, whose ends can be marked by two keys.
    """

    number: int
    patient: str
    labels: Sequence[int | None]
    drawn: Sequence[bool]
    presence: Sequence[float | None] = ()
    doubt: Sequence[float | None] = ()
    held_out: bool = False
    whole: bool = False


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
                stack.whole,
            )
        )
    return states


def in_order(stacks: Sequence[StackState], taught: bool = False) -> list[Suggested]:
    """Put stacks in the order in which they help, the best first; those without anything to do come last.

    First, scan after scan is answered and the middle of its organ drawn, until a few patients who are learned from have
    a drawing each. Then, without a model, the other scans are answered. With one, a scan ranks by its slice that ranks
    highest: an unanswered one by how uncertain its presence is (4·p·(1 - p)), one without a mask by doubt × presence ×
    distance. The distance is that to the next drawing or end of the organ, 1 in the middle of a scan without any: the
    ends of an organ are doubted most, and teach least. Each drawing of a patient lets other patients pass before.
    Patients held out wait until there is enough to learn from; then a few of their slices are drawn, to measure on.

    Args:
        taught: work began with a model that finds the organ. Its doubts count from the start, and no first drawings.
    """
    tally = _Tally(stacks, taught)
    found = [_first(stack, tally) or _of_one(stack, tally) for stack in stacks]
    return sorted(found, key=lambda one: -one.rank)


class _Tally:
    """What is drawn so far.

    Attributes:
        of: how many slices of each patient.
        few: too few patients who are learned from have a drawing.
    """

    def __init__(self, stacks: Sequence[StackState], taught: bool) -> None:
        self.of: dict[str, int] = {}
        for stack in stacks:
            self.of[stack.patient] = self.of.get(stack.patient, 0) + sum(stack.drawn)
        held_out = {stack.patient for stack in stacks if stack.held_out}
        begun = sum(count > 0 for patient, count in self.of.items() if patient not in held_out)
        self.few = begun < FIRST_DRAWINGS and not taught
        self._measured = sum(count for patient, count in self.of.items() if patient in held_out)
        self._learned = sum(self.of.values()) - self._measured

    def weight(self, stack: StackState) -> tuple[float, float]:
        """What an answer and a drawing of a stack weigh."""
        if not stack.held_out:
            return 1.0, 1.0
        if self._learned < ENOUGH_TO_LEARN:
            return HELD_OUT_WEIGHT, 0.0
        return 1.0, (1.0 if self._measured < ENOUGH_TO_MEASURE else HELD_OUT_WEIGHT)


def _first(stack: StackState, tally: _Tally) -> Suggested | None:
    """What to do with a stack that one of the first drawings may come from; None of all others."""
    if stack.held_out or not tally.few or tally.of[stack.patient]:
        return None
    n, yes = stack.number, [k for k, label in enumerate(stack.labels) if label == 1]
    if yes:
        middle = yes[len(yes) // 2]
        return Suggested(n, middle, "draw", f"draw slice {middle + 1}: the middle of a new patient", 3.0)
    missing = [k for k, label in enumerate(stack.labels) if label is None]
    if missing and len(missing) < len(stack.labels):
        return Suggested(n, missing[0], "answer", f"{len(missing)} slices not answered", 2.5)
    return Suggested(n, None, "answer", _nothing_said(stack), 2.0) if missing or not stack.labels else None


def _of_one(stack: StackState, tally: _Tally) -> Suggested:
    if not any(p is not None for p in stack.presence):
        return _without_model(stack, tally)
    n, labels = stack.number, list(stack.labels) or [None] * len(stack.presence)
    presence = np.array([0.0 if p is None else p for p in stack.presence])
    looked = np.array([p is not None for p in stack.presence])
    doubt = np.array([0.0 if d is None else d for d in stack.doubt] or [0.0] * len(presence))
    drawn = np.array(list(stack.drawn) or [False] * len(labels))
    open_, known_yes = (np.array([label == wanted for label in labels]) for wanted in (None, 1))
    shown = np.where(known_yes, 1.0, np.where(open_, presence, 0.0))
    answer, drawing = tally.weight(stack)
    to_answer = np.where(open_ & looked, 4 * presence * (1 - presence), 0.0) * answer
    to_draw = np.where(~drawn & looked, doubt * shown * _distance(shown > 0.5, drawn), 0.0)
    to_draw *= drawing / (1 + tally.of[stack.patient])
    best = max(float(to_answer.max()), float(to_draw.max()))
    if best <= 0:
        return Suggested(n, None, "nothing", "answered", 0.0)
    if to_answer.max() >= best:
        k = int(to_answer.argmax())
        return Suggested(n, k, "answer", f"slice {k + 1}: yes or no? {presence[k]:.0%}", best)
    k = int(to_draw.argmax())
    why = "the model says no" if known_yes[k] and presence[k] < 0.5 else f"doubt {doubt[k]:.2f}"
    why += ", to measure on" if stack.held_out else ""
    return Suggested(n, k, "draw", f"draw slice {k + 1}: {why}", best)


def _without_model(stack: StackState, tally: _Tally) -> Suggested:
    n, missing = stack.number, [k for k, label in enumerate(stack.labels) if label is None]
    if len(missing) == len(stack.labels):
        return Suggested(n, None, "answer", _nothing_said(stack), 1.0)
    if missing:
        return Suggested(n, missing[0], "answer", f"{len(missing)} slices not answered", 0.9)
    yes = [k for k, label in enumerate(stack.labels) if label == 1]
    _, drawing = tally.weight(stack)
    if yes and drawing and not tally.of[stack.patient]:
        return Suggested(n, yes[len(yes) // 2], "draw", "nothing drawn yet", 0.5 * drawing)
    return Suggested(n, None, "nothing", "answered", 0.0)


def _nothing_said(stack: StackState) -> str:
    return "mark both ends: F and L" if stack.whole else "not answered"


def _distance(shows: NDArray[np.bool_], drawn: NDArray[np.bool_]) -> NDArray[np.float64]:
    """(n,) of each slice to the next drawn one or end of the organ; half of the organ's own length is 1."""
    if not shows.any():
        return np.zeros(len(shows))
    first, last = np.flatnonzero(shows)[[0, -1]]
    known = np.concatenate([np.flatnonzero(drawn), [first - 1, last + 1]])
    far: NDArray[np.float64] = np.abs(np.arange(len(shows))[:, None] - known).min(axis=1) / ((last - first + 2) / 2)
    far[:first] = far[last + 1 :] = 0
    return far
