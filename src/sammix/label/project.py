"""The folder in which a data set's labelling is kept, for one server at a time."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from sammix.errors import InputError, OutputError
from sammix.files import remove_left_overs, write_json
from sammix.label.gestures import Record
from sammix.label.mask_files import MaskFiles
from sammix.label.places import Places

FORMAT = "sammix-labels-1"
OWNER = "in-use.json"


def folder_for(data: Path) -> Path:
    """Where the answers to a data set are kept unless another folder is named: beside it, ``NAME-labels``.

    >>> folder_for(Path("ct/liver-study")).as_posix()
    'ct/liver-study-labels'
    """
    name = data.resolve().name.removesuffix(".gz").removesuffix(".nii")
    return data.parent / f"{name}-labels" if data.name else data.resolve().parent / f"{name}-labels"


class LabelProject:
    """A labelling's folder.

    Made by :meth:`opened`, which keeps other servers away for as long as it is open.

    Attributes:
        places: where things lie in it.
        organ: what is labelled.
        record: the answers.
        masks: what was drawn.
    """

    def __init__(self, folder: Path, organ: str) -> None:
        self.folder, self.organ, self.places = folder, organ, Places(folder)
        self.record = Record(self.places.answers)
        self.masks = MaskFiles(self.places.masks)

    @classmethod
    @contextmanager
    def opened(cls, folder: Path, data: Path, organ: str) -> Iterator[LabelProject]:
        """Open a labelling, or begin one.

        Args:
            folder: of the labelling.
            data: what is labelled.
            organ: what is sought in it.

        Raises:
            OutputError: another server has it (the message says which), or the folder cannot be written.
            InputError: it is of other data, of another organ, or is something else.
        """
        with _sole_server(folder):
            _check_or_begin(folder, data, organ)
            remove_left_overs(folder)
            project = cls(folder, organ)
            try:
                yield project
            finally:
                project.record.close()

    def announce(self, address: str) -> None:
        """Leave word, for a second server, of who has the labelling. The address must hold no token."""
        _announce(self.folder, address)


def _check_or_begin(folder: Path, data: Path, organ: str) -> None:
    """Refuse a folder that is not a labelling of this data; write down what it is of where it is new."""
    path = Places(folder).about
    told = {"format": FORMAT, "data": str(data.resolve()), "organ": organ}
    if not path.exists():
        others = [entry.name for entry in folder.iterdir() if entry.name not in {OWNER, ".lock"}]
        if others:
            raise InputError(folder, f"holds something else ({others[0]})", "name another folder with --store")
        write_json(path, told)
        return
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        same = [found[key] == told[key] for key in ("format", "data", "organ")]
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise InputError(path, "is damaged", "restore a copy of it") from error
    if not same[0]:
        raise InputError(path, f"is of format {found['format']}", f"this version of sammix reads {FORMAT}")
    if not same[2]:
        problem = f"labels the {found['organ']}, not the {organ}"
        raise InputError(folder, problem, "ask for that organ, or name another folder with --store")
    if not same[1] and Path(found["data"]).exists():  # a folder that was moved may go on
        raise InputError(folder, f"labels {found['data']}, not {data}", "name another folder with --store")
    if not same[1]:
        write_json(path, told)


@contextmanager
def _sole_server(folder: Path) -> Iterator[None]:
    """Keep other servers away. The lock ends with the process, however that ends."""
    lock = FileLock(folder / ".lock")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
    except Timeout as error:
        raise OutputError(folder, f"is in use by {_owner(folder)}", "use that one, or stop it first") from error
    except OSError as error:
        raise OutputError(folder, f"cannot be made ({error.strerror})", "name another folder with --store") from error
    try:
        _announce(folder, None)
        yield
    finally:
        with suppress(OSError):
            (folder / OWNER).unlink()
        lock.release()


def _announce(folder: Path, address: str | None) -> None:
    since = datetime.now(UTC).isoformat(timespec="seconds")
    owner = {"host": socket.gethostname(), "process": os.getpid(), "since": since, "address": address}
    write_json(folder / OWNER, owner)


def _owner(folder: Path) -> str:
    try:
        told = json.loads((folder / OWNER).read_text(encoding="utf-8"))
        at = f" at {told['address']}" if told["address"] else ""
        return f"process {told['process']} on {told['host']}{at}, since {told['since']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"
