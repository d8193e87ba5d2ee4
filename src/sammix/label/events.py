"""What happens, told to every open page: server-sent events."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

WAITING = 256
"""Events that a page may be behind; one that is further behind is told to load everything anew."""

HEARTBEAT = 15.0
"""Seconds without an event after which a comment is sent, so that a broken connection is noticed."""


class Events:
    """Tells listeners what happens. :meth:`tell` may be called from any thread."""

    def __init__(self) -> None:
        self._listeners: set[asyncio.Queue[str | None]] = set()
        self._loop: asyncio.AbstractEventLoop | None = None

    def tell(self, kind: str, **values: Any) -> None:
        """Send an event to all who listen; it is lost where nobody does."""
        if self._loop is None or self._loop.is_closed():
            return
        message = f"event: {kind}\ndata: {json.dumps(values, allow_nan=False)}\n\n"
        self._loop.call_soon_threadsafe(self._spread, message)

    def end(self) -> None:
        """Let all listeners go."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._spread, None)

    async def listen(self) -> AsyncIterator[str]:
        """Give the text of each event from now on, in the format of ``text/event-stream``."""
        self._loop = asyncio.get_running_loop()
        queue: asyncio.Queue[str | None] = asyncio.Queue(WAITING)
        self._listeners.add(queue)
        try:
            yield "event: hello\ndata: {}\n\n"
            while True:
                try:
                    message = await asyncio.wait_for(queue.get(), HEARTBEAT)
                except TimeoutError:
                    yield ": still here\n\n"
                    continue
                if message is None:
                    return
                yield message
        finally:
            self._listeners.discard(queue)

    def _spread(self, message: str | None) -> None:
        for queue in self._listeners:
            while queue.full():  # a page that sleeps: what it missed is in the answer to its next question
                queue.get_nowait()
            queue.put_nowait(message)
