"""A folder that several processes write scans into, on one machine or on several: who is at what, and what is done.

While anybody is at work there is a folder ``.work`` in it, with a lock for each process, a lock for each scan that
somebody is at, and a record for each scan that is done. Locks are the operating system's (``flock``): they end with
their process, however that ends. The last to leave removes ``.work``.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

from filelock import FileLock, Timeout

from sammix.errors import OutputError
from sammix.files import LEFT_OVER, LOCK, attempted, check_output, remove_left_overs, write_text
from sammix.inference.destination import WORK


class SharedFolder:
    """A folder as a :class:`~sammix.inference.destination.Destination`.

    Args:
        folder: need not exist.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.staging, self.place = folder, folder, str(folder)
        self._work = folder / WORK

    def check(self, allowed: bool, shared: bool) -> None:
        """Refuse a folder that is not to be written into, before anything is touched.

        Args:
            allowed: it may hold something already.
            shared: others may be at work in it.

        Raises:
            OutputError: it is a file; it holds something; others are at work in it.
        """
        if not shared and self.folder.is_dir() and self._others():
            remedy = "wait for it, name another folder, or share its work with --skip-done"
            raise OutputError(self.folder, "another sammix is writing there", remedy)
        check_output(self.folder, allowed)

    @contextmanager
    def joined(self, check: Callable[[], None], begin: Callable[[], None], end: Callable[[], None]) -> Iterator[None]:
        """Be one of those who work here.

        Args:
            check: raises where the folder is not to be written into.
            begin: called with nobody else joining or leaving.
            end: called in the same way when this process leaves, however it does.
        """
        check()
        made = not self.folder.exists()
        with self._gate():
            try:
                check()
                if not self._others():
                    remove_left_overs(self.folder)
                begin()
            except BaseException:
                self._leave(made)
                raise
            present = self._present()
        try:
            yield
        finally:
            with self._gate():
                try:
                    end()
                finally:
                    present.release(force=True)
                if not self._others():  # the records are in the manifest, and nobody needs the rest
                    remove_left_overs(self.folder)
                    shutil.rmtree(self._work, ignore_errors=True)
                    self._leave(made)

    @contextmanager
    def present(self) -> Iterator[None]:
        """Be seen at work here, for somebody else who has joined: what is half-written is not left over."""
        present = self._present()
        try:
            yield
        finally:
            present.release(force=True)
            Path(present.lock_file).unlink(missing_ok=True)

    @contextmanager
    def alone(self) -> Iterator[bool]:
        """Keep others from joining, leaving and writing the manifest; False where somebody else does so already."""
        gate = FileLock(self.folder / LOCK)
        try:
            gate.acquire(timeout=0)
        except Timeout:
            yield False
            return
        try:
            yield True
        finally:
            gate.release()

    @contextmanager
    def claimed(self, name: str, first: bool = False) -> Iterator[int | None]:
        """Keep a scan for this process: gives how often it was begun in vain and now, or None where others are at it.

        Whoever is killed leaves a count behind; whoever ends in another way leaves none. If only the ``first`` attempt
        is asked for, None is given, too, where there is a count.
        """
        folder = self._work / "claims"
        folder.mkdir(parents=True, exist_ok=True)
        lock, begun = FileLock(folder / f"{name}.lock", thread_local=False), folder / f"{name}.begun"
        try:
            lock.acquire(timeout=0)
        except Timeout:
            yield None
            return
        try:
            if first and begun.exists():
                yield None
                return
            with attempted(begun) as attempt:
                yield attempt
        finally:
            with suppress(OSError):  # Windows does not remove what is open
                (folder / f"{name}.lock").unlink()
            lock.release()

    def release(self, names: Collection[str]) -> None:
        """Forget which of these scans were begun by workers that were ended: they did not die of them."""
        folder = self._work / "claims"
        for begun in list(folder.glob("*.begun")) if folder.is_dir() else []:
            if begun.stem in names:
                with self.claimed(begun.stem):  # which nobody holds now: and then it is as if never begun
                    pass

    def read(self, name: str) -> str | None:
        """Read a file; None where there is none."""
        try:
            return (self.folder / name).read_text(encoding="utf-8")
        except FileNotFoundError:
            return None

    def write(self, name: str, text: str) -> None:
        """Write a file, whole or not at all."""
        write_text(self.folder / name, text)

    def read_all(self, below: str) -> dict[str, str]:
        """Read all files directly in a folder of it, by their names, but for those that are being written."""
        names = _files(self.folder / below)
        texts = {name: self.read(f"{below}/{name}") for name in names if not LEFT_OVER.fullmatch(name)}
        return {name: text for name, text in texts.items() if text is not None}

    def forget(self) -> None:
        """Remove what killed runs noted and did not bring into the manifest."""
        shutil.rmtree(self._work, ignore_errors=True)

    def files(self) -> set[str]:
        """Name the files directly in the folder."""
        return _files(self.folder)

    def deliver(self, names: Iterable[str]) -> None:
        """Bring what was written into ``staging`` to its place, where it is already."""

    def withdraw(self, names: Iterable[str]) -> None:
        """Remove those of these files that are there."""
        for name in names:
            (self.folder / name).unlink(missing_ok=True)

    def _present(self) -> FileLock:
        folder = self._work / "processes"
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / f"{uuid4().hex}.lock")
        lock.acquire()  # somebody who looks whether it is held may have it for a moment
        return lock

    def _others(self) -> bool:
        """Tell whether a process is at work here; remove the marks of those who were killed."""
        folder = self._work / "processes"
        for path in list(folder.iterdir()) if folder.is_dir() else []:
            lock = FileLock(path)
            try:
                lock.acquire(timeout=0)
            except Timeout:
                return True
            path.unlink(missing_ok=True)
            lock.release()
        return False

    @contextmanager
    def _gate(self) -> Iterator[None]:
        gate, held = FileLock(self.folder / LOCK), False
        while not held:
            try:
                self.folder.mkdir(parents=True, exist_ok=True)
                gate.acquire()
                held = True
            except FileNotFoundError:
                continue  # one who left has just removed the folder
            except OSError as error:
                problem = f"cannot be made ({error.strerror})"
                raise OutputError(self.folder, problem, "choose another folder") from error
        try:
            yield
        finally:
            gate.release()

    def _leave(self, made: bool) -> None:
        """Remove the gate, and the folder where this process made it and nothing came into it."""
        with suppress(OSError):  # Windows does not remove what is open, and the folder may hold something
            (self.folder / LOCK).unlink()
            if made:
                self.folder.rmdir()


def _files(folder: Path) -> set[str]:
    if not folder.is_dir():
        return set()
    with os.scandir(folder) as entries:
        return {entry.name for entry in entries if entry.is_file()}
