"""Let scans that compute at once share a network: their slices are encoded in the same batches."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields, replace
from threading import Condition
from typing import Any

import torch
from torch import Tensor

from sammix.inference.slices import reach_mm
from sammix.networks.interface import Glancing, PromptSource, Segmenter, SlicePrediction


class Stopped(BaseException):
    """No more is encoded: all scans are to end. It is no ``Exception``, as it is no scan's fault."""


class SharedSegmenter:
    """A segmenter that several threads may use at once, each for a scan.

    All slices are encoded in batches of one shape, whichever scans they are of. In those the same sums are made in the
    same order, so that what a slice becomes does not depend on the others in its batch. Masks are made of each scan's
    own slices: how many boxes a batch has, and so the shape in which SAM decodes it, depends on what it shows.

    Args:
        segmenter: the network.
        size: slices in a batch. A batch is filled up with zeros where all scans wait for it.
    """

    def __init__(self, segmenter: Segmenter, size: int) -> None:
        self.segmenter, self.size = segmenter, size
        self.name, self.preprocess = segmenter.name, segmenter.preprocess
        self.presence_offset, self.neighbours_mm = segmenter.presence_offset, reach_mm(segmenter)
        self._asked, self._changed = deque[_Asked](), Condition()
        self._scans, self._waiting, self._stopped = 0, 0, False

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Encode slices in this context, in one thread, for one scan: batches wait for it."""
        with self._changed:
            self._scans += 1
        try:
            yield
        finally:
            with self._changed:
                self._scans -= 1
                self._changed.notify_all()

    def stop(self) -> None:
        """Have all threads that encode, or wait, raise Stopped."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def encode(self, images: Tensor) -> Any:
        """Encode slices (B, 1, S, S), as the network does, some of them perhaps with those of other scans."""
        mine = _Asked(images)
        with self._changed:
            self._asked.append(mine)
            self._waiting += 1
            self._changed.notify_all()
            while mine.left and not self._stopped:
                if self._waiting >= self._scans or sum(one.left for one in self._asked) >= self.size:
                    self._encode_a_batch()
                else:
                    self._changed.wait()
            if mine.left:
                raise Stopped
        if mine.error is not None:
            raise mine.error
        return _joined(mine.parts)

    def glance(self, images: Tensor) -> SlicePrediction | None:
        """Ask the classifier alone, as the network does."""
        return self.segmenter.glance(images) if isinstance(self.segmenter, Glancing) else None

    def segment(self, encoding: Any, boxes: Tensor | None = None, prompt: PromptSource = "cam") -> SlicePrediction:
        """Make masks, as the network does."""
        return self.segmenter.segment(encoding, boxes, prompt)

    def redraw(self, encoding: Any, maps: Tensor) -> Tensor:
        """Make masks once more, as a :class:`~sammix.networks.interface.Promptable` does."""
        redrawn: Tensor = self.segmenter.redraw(encoding, maps)  # type: ignore[attr-defined]
        return redrawn

    def _encode_a_batch(self) -> None:
        """Encode the slices that have waited longest. Called by one thread at a time, for all."""
        taken, free = list[tuple[_Asked, Tensor]](), self.size
        for asked in self._asked:
            taken.append((asked, asked.next(free)))
            free -= len(taken[-1][1])
            if not free:
                break
        images = torch.cat([rows for _, rows in taken])
        images = torch.cat([images, images.new_zeros(free, *images.shape[1:])])
        try:
            encoding, error = self.segmenter.encode(images), None
        except Exception as raised:  # each scan in it tells it as its own
            encoding, error = None, raised
        start = 0
        for asked, rows in taken:
            stop = start + len(rows)
            asked.take(None if error else _rows(encoding, start, stop), len(rows), error)
            start = stop
        for asked in [asked for asked in self._asked if not asked.left]:
            self._asked.remove(asked)
            self._waiting -= 1
        self._changed.notify_all()


class _Asked:
    """Slices (B, 1, S, S) that a scan asks for: how many are ``left`` to encode, and the ``parts`` that are encoded."""

    def __init__(self, images: Tensor) -> None:
        self.images, self.left, self.parts = images, len(images), list[Any]()
        self.error: Exception | None = None

    def next(self, most: int) -> Tensor:
        """Give the slices that are to be encoded next."""
        return self.images[len(self.images) - self.left :][:most]

    def take(self, part: Any, count: int, error: Exception | None) -> None:
        """Take the encoding of that many slices, or what went wrong: the others are not asked for then."""
        self.parts.append(part)
        self.error, self.left = error, 0 if error else self.left - count


def _rows(encoding: Any, start: int, stop: int) -> Any:
    """Copy some of the slices, so that a few do not keep the whole batch in memory."""
    return _mapped(lambda values: values[start:stop].clone(), encoding)


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
