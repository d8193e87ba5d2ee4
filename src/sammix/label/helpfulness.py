"""What helps most next: which scan's ends are least certain, and which slice is worth a drawing.

Nothing here needs a network; it is told what the network said.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

FIRST = 0.5
"""Added to a patient's slices for each drawing that the patient has already: others come first."""


@dataclass(frozen=True)
class StackState:
    """What is known of a stack of n slices.

    Attributes:
        number: of the stack. patient: whose it is.
        labels: of each slice 1, 0, -1 left open, None not answered; empty where the stack was not read yet.
        drawn: whether each slice has a mask.
        presence, doubt: what the model says of each slice, None where it has not looked; empty where it said nothing.
    """

    number: int
    patient: str
    labels: Sequence[int | None]
    drawn: Sequence[bool]
    presence: Sequence[float | None] = ()
    doubt: Sequence[float | None] = ()


@dataclass(frozen=True)
class Suggested:
    """A stack in its place in the list: the slice to go to (None: wherever), and why, in words."""

    stack: int
    slice: int | None
    why: str
    rank: float


def in_order(stacks: Sequence[StackState]) -> list[Suggested]:
    """Put stacks in the order in which they help, the best first; those without anything to do come last.

    Before a model is there, scans without an answer come in their own order, patients in turn. With one, a scan ranks
    by its slice that ranks highest: an unanswered one by how uncertain its presence is (4·p·(1 - p)), one without a
    mask by doubt × presence. Each drawing of a patient lets other patients pass before.
    """
    drawings: dict[str, int] = {}
    for stack in stacks:
        drawings[stack.patient] = drawings.get(stack.patient, 0) + sum(stack.drawn)
    found = [_of_one(stack, drawings[stack.patient]) for stack in stacks]
    return sorted(found, key=lambda one: -one.rank)


def _of_one(stack: StackState, drawings: int) -> Suggested:
    n = stack.number
    unanswered = [label is None for label in stack.labels]
    if not any(p is not None for p in stack.presence):
        if not stack.labels or all(unanswered):
            return Suggested(n, None, "not answered", 1.0)
        if any(unanswered):
            return Suggested(n, unanswered.index(True), f"{sum(unanswered)} slices not answered", 0.9)
        yes = [k for k, label in enumerate(stack.labels) if label == 1]
        if yes and not any(stack.drawn):
            return Suggested(n, yes[len(yes) // 2], "nothing drawn yet", 0.5)
        return Suggested(n, None, "answered", 0.0)
    labels = list(stack.labels) or [None] * len(stack.presence)
    drawn = list(stack.drawn) or [False] * len(labels)
    presence = np.array([0.0 if p is None else p for p in stack.presence])
    looked = np.array([p is not None for p in stack.presence])
    doubt = np.array([0.0 if d is None else d for d in stack.doubt] or [0.0] * len(presence))
    open_ = np.array([label is None for label in labels]) & looked
    known_yes = np.array([label == 1 for label in labels])
    to_answer = np.where(open_, 4 * presence * (1 - presence), 0.0)
    weight = np.where(known_yes, 1.0, presence)
    drawable = np.array([label in (1, None) for label in labels]) & ~np.array(drawn) & looked
    to_draw = np.where(drawable, doubt * weight, 0.0) / (1 + FIRST * drawings)
    wrong = np.where(known_yes, 1 - presence, np.where([label == 0 for label in labels], presence, 0.0)) * looked
    best = max((float(to_answer.max()), "ends"), (float(to_draw.max()), "draw"))
    if best[0] <= 0:
        return Suggested(n, None, "answered", 0.0)
    if best[1] == "ends":
        k = int(to_answer.argmax())
        return Suggested(n, k, f"slice {k + 1}: yes or no? {presence[k]:.0%}", best[0])
    k = int(to_draw.argmax())
    why = "the model says no" if wrong[k] > 0.5 else f"doubt {doubt[k]:.2f}"
    return Suggested(n, k, f"draw slice {k + 1}: {why}", best[0])
