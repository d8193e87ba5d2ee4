"""A part of an object store that several processes write scans into: who is at what, and what is done.

An object store has no locks that end with their process. A claim is an object that only one can create; whoever holds
it writes it again now and then. Who sees it unchanged for long takes the scan over, by creating the claim's next one.
The records stay in ``.work`` for good: nobody can know to be the last.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from uuid import uuid4

from sammix.errors import OutputError, SammixError
from sammix.inference.destination import WORK
from sammix.io.remote import ObjectStore

LEASE = 90.0
"""Seconds after which a claim that was not written again is taken over."""


class SharedBucket:
    """A part of an object store as a :class:`~sammix.inference.destination.Destination`.

    Args:
        url: such as ``s3://bucket/some/folder``.
        lease: seconds after which a claim that was not written again is taken over.
        run: names the run, in its claims; one of a run's processes passes it to the others.
    """

    def __init__(self, url: str, lease: float = LEASE, run: str = "") -> None:
        self.place, self.lease, self._store = url.rstrip("/"), lease, ObjectStore(url)
        self.run = run or uuid4().hex
        self._temporary = TemporaryDirectory(prefix="sammix-")
        self.staging = Path(self._temporary.name)
        self._seen: dict[str, tuple[str, float]] = {}

    def __reduce__(self) -> tuple[type[SharedBucket], tuple[str, float, str]]:
        """Let it pass to another process of the run, which has a folder of its own."""
        return type(self), (self.place, self.lease, self.run)

    def check(self, allowed: bool, shared: bool) -> None:
        """Refuse a place where something lies, unless that is allowed. Whether others are at work cannot be known."""
        if not allowed and (self._store.direct() or self._store.names(WORK)):
            remedy = "name another folder, or say --skip-done or --overwrite"
            raise OutputError(self.place, "exists already and is not empty", remedy)

    @contextmanager
    def joined(self, check: Callable[[], None], begin: Callable[[], None], end: Callable[[], None]) -> Iterator[None]:
        """Be one of those who work here."""
        check()
        begin()
        try:
            yield
        finally:
            end()

    @contextmanager
    def present(self) -> Iterator[None]:
        """Work on behalf of one who has joined: nothing half-written can be left over here."""
        yield

    @contextmanager
    def alone(self) -> Iterator[bool]:
        """Write the manifest: each who does so writes it of all records, whole."""
        yield True

    @contextmanager
    def claimed(self, name: str, first: bool = False) -> Iterator[int | None]:
        """Keep a scan for this process: gives how often it was begun in vain and now, or None where others are at it.

        If only the ``first`` attempt is asked for, None is given, too, where it was begun in vain.

        Two may be at one scan where one was cut off from the store for longer than the lease. Both then write the same.
        """
        attempt = self._claim(name, first)
        if attempt is None:
            yield None
            return
        mine, ended = self._claims(name)[-1], threading.Event()
        keeper = threading.Thread(target=self._keep, args=(mine, ended), daemon=True)
        keeper.start()
        try:
            yield attempt
        finally:
            ended.set()
            keeper.join()
            self._store.remove(self._claims(name))

    def release(self, names: Collection[str]) -> None:
        """Remove the claims on these scans of this run's workers, which were ended: others need not wait for them."""
        for claim in self._store.names(f"{WORK}/claims"):
            name = PurePosixPath(claim).parent.name
            if name in names and (self.read(claim) or "").startswith(self.run):
                self._store.remove(self._claims(name))

    def read(self, name: str) -> str | None:
        """Read a text; None where there is none."""
        content = self._store.read(name)
        return None if content is None else content.decode()

    def read_all(self, below: str) -> dict[str, str]:
        """Read all texts directly in a folder, by their names."""
        found = self._store.read_all(self._store.names(below))
        return {name.removeprefix(f"{below}/"): content.decode() for name, content in found.items()}

    def write(self, name: str, text: str) -> None:
        """Write a text, whole or not at all. What is no text, as bytes in a file's name may be, is escaped."""
        self._store.write(name, text.encode(errors="backslashreplace"))

    def forget(self) -> None:
        """Remove all records and claims of earlier runs."""
        self._store.remove(self._store.names(WORK))

    def files(self) -> set[str]:
        """Name the objects directly here."""
        return set(self._store.direct())

    def deliver(self, names: Iterable[str]) -> None:
        """Bring files from ``staging`` to their place, each whole or not at all."""
        for name in names:
            self._store.write(name, self.staging / name)
            (self.staging / name).unlink()

    def withdraw(self, names: Iterable[str]) -> None:
        """Remove those of these files that are there, delivered or not."""
        gone = list(names)
        for name in gone:
            (self.staging / name).unlink(missing_ok=True)
        with suppress(SammixError):  # what the store refused is what is told
            self._store.remove(gone)

    def _claim(self, name: str, first: bool = False) -> int | None:
        claims = self._claims(name)
        if claims and (first or not self._is_given_up(claims[-1])):
            return None
        attempt = len(claims) + 1
        return attempt if self._store.create(f"{WORK}/claims/{name}/{attempt:03}", self._mark()) else None

    def _claims(self, name: str) -> list[str]:
        return self._store.names(f"{WORK}/claims/{name}")

    def _is_given_up(self, claim: str) -> bool:
        """Tell whether a claim stayed as it is for the whole lease, by this machine's clock."""
        state, now = self._store.written(claim) or "", time.monotonic()
        before, since = self._seen.setdefault(claim, (state, now))
        if before != state:
            self._seen[claim] = state, now
            return False
        return now - since > self.lease

    def _keep(self, claim: str, ended: threading.Event) -> None:
        while not ended.wait(self.lease / 4):
            with suppress(SammixError):  # cut off for a while: tried again
                self._store.write(claim, self._mark())

    def _mark(self) -> bytes:
        """Name the run, in a text that is never the same again."""
        return f"{self.run} {time.time_ns()}".encode()
