"""What can be done with a labelling: every request of the page, and of 3D Slicer, ends in a method here."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Protocol

import numpy as np

from sammix.errors import SammixError
from sammix.io import Case
from sammix.label.collection import Collection, OpenStack, Shelf, stacks_of
from sammix.label.events import Events
from sammix.label.gestures import Answer, How, Marks, Place
from sammix.label.mask_files import Mask, name_of
from sammix.label.mask_shapes import between
from sammix.label.project import LabelProject

ISSUED = 512
"""Proposals that are remembered, so that a mask can be told to be one of them."""


class RefusedError(SammixError):
    """A request that does not fit what is known: the page shows why."""


class Drawn(Protocol):
    """What another program says of a scan's slices, counted from its inferior end."""

    @property
    def masks(self) -> Mapping[int, Mask]:
        """Slice → mask (H, W), of those in which the organ is drawn; none is empty."""

    @property
    def absent(self) -> Iterable[int]:
        """Slices that are said not to show it."""

    @property
    def complete(self) -> bool:
        """Whether all other slices are said not to show it."""


class Service:
    """A labelling at work. Its methods may be called from several threads.

    Args:
        project: where answers are kept.
        collection: what there is to label.
        events: tell every open page what happened.
    """

    def __init__(self, project: LabelProject, collection: Collection, events: Events) -> None:
        self.project, self.collection, self.events = project, collection, events
        self.shelf = Shelf(collection.stacks)
        self._lock = threading.RLock()
        self._issued: dict[str, tuple[How, str | None]] = {}
        self._stack_of = {case.name: n for n, stack in enumerate(collection.stacks) for case in stack.cases}

    def add(self, case: Case) -> int:
        """Take in a whole scan that came later; return its number."""
        with self._lock:
            dataset, number = self.collection.dataset, len(self.collection.stacks)
            stacks = (*self.collection.stacks, *stacks_of((case,)))
            self.collection = replace(
                self.collection, dataset=replace(dataset, cases=(*dataset.cases, case)), stacks=stacks
            )
            self.shelf.take(stacks[number])
            self._stack_of[case.name] = number
        self.events.tell("stacks")
        return number

    def opened(self, number: int) -> OpenStack:
        """Read a stack. Raises RefusedError: there is none of that number. InputError: it cannot be read."""
        if not 0 <= number < len(self.collection.stacks):
            raise RefusedError(f"there is no stack {number}; there are {len(self.collection.stacks)}")
        return self.shelf.get(number)

    def slice_of(self, number: int, slice_: int) -> OpenStack:
        """Read a stack that has such a slice. Raises RefusedError: it has none."""
        stack = self.opened(number)
        if not 0 <= slice_ < len(stack):
            raise RefusedError(f"there is no slice {slice_}; the stack has {len(stack)}, from 0 at its lower end")
        return stack

    def answers(self, stack: OpenStack) -> list[Answer]:
        """What is known of each slice now: the newest answer, else what the data says."""
        newest = {name: self.project.record.current(name) for name in {place[0] for place in stack.places}}
        return [self._known(stack, slice_, newest[name].get(z)) for slice_, (name, z) in enumerate(stack.places)]

    def answer(self, number: int, slice_: int) -> Answer:
        """What is known of one slice now."""
        stack = self.slice_of(number, slice_)
        name, z = stack.places[slice_]
        return self._known(stack, slice_, self.project.record.current(name).get(z))

    def mask(self, number: int, slice_: int) -> Mask | None:
        """The slice's mask (H, W) now; None where none is drawn.

        Raises:
            InputError: its file is damaged.
        """
        answer = self.answer(number, slice_)
        if answer.mask is None:
            return None
        if answer.mask == GIVEN:
            return self.opened(number).given_mask(slice_)
        mask = self.project.masks.read(answer.mask)
        shape = self.opened(number).hu(slice_).shape
        if mask.shape != shape:
            raise RefusedError(
                f"the mask of slice {slice_} is of {mask.shape} px, the slice of {shape}: the scan changed"
            )
        return mask

    def say(self, who: str, number: int, slice_: int, label: int) -> None:
        """Answer one slice: 1 yes, 0 no, -1 left open. A mask stays with a yes and goes with the others."""
        with self._lock:
            before = self._kept(number, slice_)
            mask = before if label == 1 else Answer()
            answer = replace(mask, label=label, label_how="key")
            self._write(who, number, "answer", {slice_: answer})

    def mark(self, who: str, number: int, first: int | None, last: int | None) -> Marks:
        """Mark an end of the organ; with both marked, every slice between is yes and every other no.

        Slices that were left open stay so.

        Args:
            first, last: None leaves that end as it was marked before.

        Raises:
            RefusedError: the slices are no whole scan, or a drawn one would be outside.
        """
        with self._lock:
            stack = self.opened(number)
            if not stack.stack.whole:
                raise RefusedError("first and last slice can be marked in whole scans only; answer each slice here")
            for slice_ in (first, last):
                if slice_ is not None:
                    self.slice_of(number, slice_)
            name = stack.stack.name
            before = self.project.record.marks(who, name)
            ends: Marks = (before[0] if first is None else first, before[1] if last is None else last)
            low, high = ends
            if low is not None and high is not None and low > high:
                low, high = ends = (high, low)
            answers = {} if low is None or high is None else self._range(stack, low, high)
            self._write(who, number, "range", answers, {name: ends})
            return ends

    def draw(self, who: str, number: int, slice_: int, mask: Mask, basis: str | None = None) -> Answer:
        """Keep a slice's mask as it is after a stroke, or as it was proposed.

        An empty mask takes the drawing back: a yes that was said by key stays, one that the drawing alone said goes.

        Args:
            mask: (H, W).
            basis: the name of the proposal that the person began from; None: from what was there.
        """
        with self._lock:
            stack = self.slice_of(number, slice_)
            if mask.shape != stack.hu(slice_).shape:
                raise RefusedError(f"the slice has {stack.hu(slice_).shape} px (rows, columns), the mask {mask.shape}")
            before = self._kept(number, slice_)
            if not mask.any():
                said = before.label_how in ("key", "range", "imported")
                answer = Answer(label=1, label_how=before.label_how) if said and before.label == 1 else Answer()
            else:
                name = self.project.masks.keep(mask)
                how, model = self._origin(name, basis, before)
                label_how = before.label_how if before.label == 1 else "drawn"
                answer = Answer(1, label_how, name, how, model)
            self._write(who, number, "mask", {slice_: answer})
            return answer

    def issue(self, mask: Mask, how: How, model: str | None) -> str:
        """Remember a proposal, so that it is known for one when it comes back; return its name."""
        name = self.project.masks.keep(mask)
        with self._lock:
            self._issued.pop(name, None)
            self._issued[name] = (how, model)
            while len(self._issued) > ISSUED:
                self._issued.pop(next(iter(self._issued)))
        return name

    def interpolated(self, number: int, slice_: int) -> tuple[int, int, dict[int, Mask]]:
        """Propose masks between the drawn slices next below and above: (lower, upper, slice → mask).

        Raises:
            RefusedError: there are none, or they are of no whole scan.
        """
        stack = self.slice_of(number, slice_)
        if not stack.stack.whole:
            raise RefusedError("single slices cannot be interpolated: nobody knows how far apart they are")
        drawn = [n for n, one in enumerate(self.answers(stack)) if one.mask is not None]
        below, above = [n for n in drawn if n < slice_], [n for n in drawn if n > slice_]
        if slice_ in drawn or not below or not above:
            raise RefusedError("stand on a slice without a drawing, between two that have one")
        lower, upper = below[-1], above[0]
        ends = self.mask(number, lower), self.mask(number, upper)
        if ends[0] is None or ends[1] is None:
            raise RefusedError("one of the drawings is gone")
        return lower, upper, between(lower, ends[0], upper, ends[1])

    def accept(self, who: str, number: int, masks: dict[int, Mask], how: How) -> None:
        """Keep several proposed masks as one gesture."""
        with self._lock:
            answers = {}
            for slice_, mask in masks.items():
                before = self._kept(number, slice_)
                label_how = before.label_how if before.label == 1 else "drawn"
                answers[slice_] = Answer(1, label_how, self.project.masks.keep(mask), how)
            self._write(who, number, "mask", answers)

    def submit(
        self, who: str, number: int, drawn: Drawn, basis: Mapping[int, tuple[str, str]] | None = None
    ) -> dict[str, int]:
        """Keep what was drawn of a whole scan in another program, as one gesture. What is as it was is left alone.

        Slices of which it says nothing stay as they are.

        Args:
            basis: slice → the name of the mask that a model had proposed to that program, and the model.

        Returns:
            How many slices are now drawn anew (``drawn``), said to show nothing (``no``), or stay (``unchanged``).

        Raises:
            RefusedError: all other slices are to show nothing, and one of them has a drawing.
        """
        with self._lock:
            stack, known = self.opened(number), self.answers(self.opened(number))
            absent = set(drawn.absent)
            if drawn.complete:
                others = set(range(len(stack))) - drawn.masks.keys() - absent
                if kept := sorted(k for k in others if known[k].mask is not None):
                    raise RefusedError(
                        f"slice {kept[0] + 1} has a drawing here, which was not sent, and all other slices are said "
                        "to show nothing; paint “no … in this slice” there if that is meant"
                    )
                absent |= {k for k in others if known[k].label != -1}  # what was left open stays so
            answers = {}
            for k, mask in drawn.masks.items():
                before, name = self._kept_of(stack, k, known[k]), name_of(mask)
                if before.label == 1 and before.mask == name:
                    continue
                how, model = self._origin(name, None, before)
                if basis and k in basis:
                    how, model = "accepted" if basis[k][0] == name else "corrected", basis[k][1]
                label_how = before.label_how if before.label == 1 else "slicer"
                how = "slicer" if how == "drawn" else how
                answers[k] = Answer(1, label_how, self.project.masks.keep(mask), how, model)
            said = {k: Answer(0, "slicer") for k in absent if known[k].label != 0}
            told = {"drawn": len(answers), "no": len(said)}
            unchanged = len(drawn.masks) + len(absent) - len(answers) - len(said)
            if answers or said:
                self._write(who, number, "mask", {**answers, **said})
            return {**told, "unchanged": unchanged}

    def undo(self, who: str, redo: bool = False) -> tuple[int, int] | None:
        """Take back, or say again; return the stack and the slice that the person should see, None if there is none."""
        with self._lock:
            places = self.project.record.redo(who) if redo else self.project.record.undo(who)
            if places is None:
                return None
            numbers = sorted({self._stack_of[name] for name, _ in places if name in self._stack_of})
            for number in numbers:
                self._tell(number, who)
            if not places or not numbers:
                self.events.tell("answers", stack=-1, who=who)
                return (-1, -1)
            stack = self.opened(numbers[0])
            middle = [place for place in places if place in stack.places]
            return numbers[0], stack.places.index(middle[len(middle) // 2])

    def _range(self, stack: OpenStack, low: int, high: int) -> dict[int, Answer]:
        """What a range says of each slice of a scan that it does not say already."""
        now = self.answers(stack)
        outside = [n for n, one in enumerate(now) if one.mask is not None and not low <= n <= high]
        if outside:
            raise RefusedError(
                f"slice {outside[0] + 1} has a drawing but lies outside {low + 1} to {high + 1}; "
                "take the drawing back (N on that slice), or mark the end further out"
            )
        answers = {}
        for n, one in enumerate(now):
            label = int(low <= n <= high)
            if one.label not in (label, -1) or (one.label_how == "imported" and one.label != -1):
                kept = self._kept_of(stack, n, one) if label else Answer()
                answers[n] = replace(kept, label=label, label_how="range")
        return answers

    def _known(self, stack: OpenStack, slice_: int, newest: Answer | None) -> Answer:
        """The newest answer, or what the data says where nothing is said."""
        if newest is not None and newest.label is not None:
            return newest
        label = stack.given_label(slice_)
        if label is None:
            return newest or Answer()
        if stack.given_mask(slice_) is None:
            return Answer(label, "imported")
        return Answer(label, "imported", GIVEN, "imported")

    def _kept(self, number: int, slice_: int) -> Answer:
        """What is known of a slice, with a mask that the data has kept among our own."""
        return self._kept_of(self.slice_of(number, slice_), slice_, self.answer(number, slice_))

    def _kept_of(self, stack: OpenStack, slice_: int, answer: Answer) -> Answer:
        mask = stack.given_mask(slice_) if answer.mask == GIVEN else None
        name = answer.mask if mask is None else self.project.masks.keep(mask)
        return replace(answer, mask=name, who="", at="")

    def _origin(self, name: str, basis: str | None, before: Answer) -> tuple[How, str | None]:
        """Tell how a mask came about: what it began from decides, not what the browser says."""
        if basis in self._issued:
            how, model = self._issued[basis]
            return (how, model) if basis == name else ("corrected", model)
        if before.mask is None or before.mask_how in ("drawn", "imported", "slicer"):
            return "drawn", None
        return (before.mask_how or "drawn", before.model) if name == before.mask else ("corrected", before.model)

    def _write(
        self, who: str, number: int, what: Any, answers: dict[int, Answer], marks: dict[str, Marks] | None = None
    ) -> None:
        stack = self.opened(number)
        placed: dict[Place, Answer] = {stack.places[slice_]: one for slice_, one in answers.items()}
        self.project.record.add(who, what, placed, marks)
        self._tell(number, who)

    def _tell(self, number: int, who: str) -> None:
        self.events.tell("answers", stack=number, who=who)


GIVEN = "data"
"""In place of a mask's name: the data's own mask, which is not copied before someone changes something."""


def as_mask(body: bytes, shape: tuple[int, int]) -> Mask:
    """Read a mask as the page sends it: a byte a pixel, 0 or 1, row by row.

    Raises:
        RefusedError: it is of another size, or holds other values.
    """
    if len(body) != shape[0] * shape[1]:
        raise RefusedError(f"a mask of this slice has {shape[0] * shape[1]} bytes, not {len(body)}")
    values = np.frombuffer(body, np.uint8).reshape(shape)
    if values.max(initial=0) > 1:
        raise RefusedError("a mask holds 0 and 1 only")
    return values.astype(np.bool_)
