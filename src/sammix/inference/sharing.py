"""Let scans that compute at once share a network: their slices are encoded, and their prompts decoded, together."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace
from functools import partial
from threading import Condition
from typing import Any

import torch
from torch import Tensor

from sammix.inference.slices import reach_mm
from sammix.networks.interface import Glancing, PromptSource, Segmenter, Shareable, SlicePrediction


class Stopped(BaseException):
    """No more is computed: all scans are to end. It is no ``Exception``, as it is no scan's fault."""


class SharedSegmenter:
    """A segmenter that several threads may use at once, each for a scan.

    All slices are encoded, and all automatic prompts decoded, in batches of one shape, whichever scans they are of. In
    those the same sums are made in the same order, so that what a slice becomes does not depend on the others in its
    batch. Boxes are found by each scan's own thread.

    Args:
        segmenter: the network.
        size: slices, or prompts, in a batch. A batch is filled up with zeros where all scans wait for one.
    """

    def __init__(self, segmenter: Segmenter, size: int) -> None:
        self.segmenter, self.size = segmenter, size
        self.name, self.preprocess = segmenter.name, segmenter.preprocess
        self.presence_offset, self.neighbours_mm = segmenter.presence_offset, reach_mm(segmenter)
        self._lines, self._changed = [_Line(segmenter.encode)], Condition()
        self._scans, self._waiting, self._stopped = 0, 0, False
        if isinstance(segmenter, Shareable):
            self._lines.append(_Line(segmenter.masks))
            self.segmenter = segmenter.shared(partial(self._ask, self._lines[1]))

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Segment slices in this context, in one thread, for one scan: batches wait for it."""
        with self._changed:
            self._scans += 1
        try:
            yield
        finally:
            with self._changed:
                self._scans -= 1
                self._changed.notify_all()

    def stop(self) -> None:
        """Have all threads that ask for something, or wait, raise Stopped."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def encode(self, images: Tensor) -> Any:
        """Encode slices (B, 1, S, S), as the network does, some of them perhaps with those of other scans."""
        return self._ask(self._lines[0], images)

    def glance(self, images: Tensor) -> SlicePrediction | None:
        """Ask the classifier alone, as the network does."""
        return self.segmenter.glance(images) if isinstance(self.segmenter, Glancing) else None

    def segment(self, encoding: Any, boxes: Tensor | None = None, prompt: PromptSource = "cam") -> SlicePrediction:
        """Make masks, as the network does, some of their prompts perhaps decoded with those of other scans."""
        return self.segmenter.segment(encoding, boxes, prompt)

    def redraw(self, encoding: Any, maps: Tensor) -> Tensor:
        """Make masks once more, as a :class:`~sammix.networks.interface.Promptable` does."""
        redrawn: Tensor = self.segmenter.redraw(encoding, maps)  # type: ignore[attr-defined]
        return redrawn

    def _ask(self, line: _Line, *rows: Tensor) -> Any:
        """Have a line do rows: tensors of one length."""
        mine = _Asked(rows)
        with self._changed:
            line.asked.append(mine)
            self._waiting += 1
            self._changed.notify_all()
            while mine.left and not self._stopped:
                fullest = max(self._lines, key=lambda one: one.left)
                if self._waiting >= self._scans or fullest.left >= self.size:
                    self._waiting -= fullest.do(self.size)
                    self._changed.notify_all()
                else:
                    self._changed.wait()
            if mine.left:
                raise Stopped
        if mine.error is not None:
            raise mine.error
        return _joined(mine.parts)


@dataclass(eq=False)
class _Line:
    """What scans wait for, the longest first. Used by one thread at a time, for all.

    Attributes:
        work: does rows: as many results as rows.
        asked: what is not done.
    """

    work: Callable[..., Any]
    asked: deque[_Asked] = field(default_factory=deque)

    @property
    def left(self) -> int:
        """How many rows are to be done."""
        return sum(one.left for one in self.asked)

    def do(self, size: int) -> int:
        """Do the rows that have waited longest, in a batch of ``size``; returns how many scans have all of theirs."""
        taken, free = list[tuple[_Asked, tuple[Tensor, ...]]](), size
        for asked in self.asked:
            taken.append((asked, asked.next(free)))
            free -= len(taken[-1][1][0])
            if not free:
                break
        try:
            columns = zip(*(rows for _, rows in taken), strict=True)
            done, error = self.work(*(_filled(column, size) for column in columns)), None
        except Exception as raised:  # each scan in it tells it as its own
            done, error = None, raised
        start = 0
        for asked, rows in taken:
            stop = start + len(rows[0])
            asked.take(None if error else _rows(done, start, stop), stop - start, error)
            start = stop
        over = [asked for asked in self.asked if not asked.left]
        for asked in over:
            self.asked.remove(asked)
        return len(over)


class _Asked:
    """Rows that a scan asks for: how many are ``left`` to do, and the ``parts`` that are done."""

    def __init__(self, rows: tuple[Tensor, ...]) -> None:
        self.rows, self.left, self.parts = rows, len(rows[0]), list[Any]()
        self.error: Exception | None = None

    def next(self, most: int) -> tuple[Tensor, ...]:
        """Give the rows that are to be done next."""
        start = len(self.rows[0]) - self.left
        return tuple(column[start : start + most] for column in self.rows)

    def take(self, part: Any, count: int, error: Exception | None) -> None:
        """Take what that many rows became, or what went wrong: the others are not asked for then."""
        self.parts.append(part)
        self.error, self.left = error, 0 if error else self.left - count


def _filled(parts: Sequence[Tensor], size: int) -> Tensor:
    """Put rows of several scans together, and zeros after them. In memory it always lies alike."""
    batch, start = parts[0].new_zeros(size, *parts[0].shape[1:]), 0
    for part in parts:
        batch[start : (start := start + len(part))] = part
    return batch


def _rows(done: Any, start: int, stop: int) -> Any:
    """Copy some of the rows, so that a few do not keep the whole batch in memory."""
    return _mapped(lambda values: values[start:stop].clone(), done)


def _joined(parts: Sequence[Any]) -> Any:
    return parts[0] if len(parts) == 1 else _mapped(lambda *values: torch.cat(values), *parts)


def _mapped(call: Callable[..., Tensor], *encodings: Any) -> Any:
    """Put encodings together, tensor by tensor: whatever a network's encoding is made of."""
    one = encodings[0]
    if one is None:
        return None
    if isinstance(one, Tensor):
        return call(*encodings)
    if isinstance(one, list | tuple):
        return type(one)(_mapped(call, *values) for values in zip(*encodings, strict=True))
    return replace(one, **{own.name: _mapped(call, *(getattr(e, own.name) for e in encodings)) for own in fields(one)})
