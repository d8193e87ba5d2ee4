"""Where ``predict`` writes to, and what it needs of such a place: several processes may write there at once."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

WORK = ".work"
"""The folder there in which those who work there leave word for each other."""


class Destination(Protocol):
    """A folder (:class:`~sammix.inference.shared_folder.SharedFolder`) or a part of an object store."""

    @property
    def place(self) -> str:
        """What it is called, in messages and in paths below it."""

    @property
    def staging(self) -> Path:
        """The folder of this machine that a scan's files are written into, before they are delivered."""

    def check(self, allowed: bool, shared: bool) -> None:
        """Refuse what is not to be written into, as nothing may lie there, or nobody else may be at work."""

    def joined(
        self, check: Callable[[], None], begin: Callable[[], None], end: Callable[[], None]
    ) -> AbstractContextManager[None]:
        """Be one of those who work here, from ``begin`` to ``end``."""

    def present(self) -> AbstractContextManager[None]:
        """Be seen at work here, on behalf of one who has joined."""

    def alone(self) -> AbstractContextManager[bool]:
        """Be the one who writes the manifest, if nobody else is."""

    def claimed(self, name: str, first: bool = False) -> AbstractContextManager[int | None]:
        """Keep a scan for this process: which attempt it is, from 1; None where others are at it.

        None, too, where it is not to be had but at the ``first`` attempt. The claim may be left in another thread.
        """

    def release(self, names: Collection[str]) -> None:
        """Give up what this run's other processes held of these scans; they have all been ended."""

    def read(self, name: str) -> str | None:
        """Read a text; None where there is none."""

    def read_all(self, below: str) -> dict[str, str]:
        """Read all texts directly in a folder here, by their names."""

    def write(self, name: str, text: str) -> None:
        """Write a text, whole or not at all."""

    def forget(self) -> None:
        """Remove what earlier runs noted and did not bring into the manifest."""

    def files(self) -> set[str]:
        """Name the files directly here."""

    def deliver(self, names: Iterable[str]) -> None:
        """Bring files from ``staging`` to their place, each whole or not at all."""

    def withdraw(self, names: Iterable[str]) -> None:
        """Remove those of these files that are there, delivered or not."""
