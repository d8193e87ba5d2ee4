"""Scans in an object store (``s3://``, ``gs://``, ``az://``): named from a listing, fetched one by one.

The store's own client is obstore's: one package without dependencies, and its conditional writes are what claims need.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Any

from sammix.errors import InputError, needs_extra
from sammix.io.dataset import Case
from sammix.io.finding import Inputs, find_inputs
from sammix.io.layouts.pairing import in_mask_folder, is_mask_name
from sammix.io.readers.formats import NIFTI, has_suffix
from sammix.io.stock import DICOM_NAMES, Ended, Stock, other_kind

URL = re.compile(r"[a-z][a-z0-9+.-]*://.+")
VOLUMES = (*NIFTI, ".mha", ".nrrd")
"""Of the files that may be scans, those that stand alone."""

AT_ONCE = 16
"""Objects that are read at once."""


def is_url(place: object) -> bool:
    """Tell an object store's address from a path."""
    return isinstance(place, str) and URL.fullmatch(place) is not None


class ObjectStore:
    """The objects below an address. Their names are relative to it, with ``/``.

    Credentials, region and endpoint come from the environment, as the provider's own tools read it
    (``AWS_ACCESS_KEY_ID``, ``AWS_ENDPOINT_URL`` …).

    Args:
        url: such as ``s3://bucket/some/folder``.

    Raises:
        MissingExtraError: the extra ``s3`` is not installed. InputError: the address is of no known kind.
    """

    def __init__(self, url: str) -> None:
        with needs_extra("s3", "an object store"):
            import obstore
            from obstore.store import from_url
        self.url, self._client = url.rstrip("/"), obstore
        with self._explained():
            self._store: Any = from_url(self.url)

    def names(self, below: str = "") -> list[str]:
        """Name all objects below a folder, however deep, sorted."""
        with self._explained():
            found = [one["path"] for batch in self._client.list(self._store, below or None) for one in batch]
        return sorted(found)

    def direct(self) -> list[str]:
        """Name the objects that lie directly here, sorted."""
        with self._explained():
            return sorted(one["path"] for one in self._client.list_with_delimiter(self._store)["objects"])

    def written(self, name: str) -> str | None:
        """Tell when an object was last written, by the store's clock; None where there is none."""
        with self._explained():
            try:
                head = self._client.head(self._store, name)
                return f"{head['last_modified']} {head['e_tag']}"
            except FileNotFoundError:
                return None

    def read(self, name: str) -> bytes | None:
        """Read an object; None where there is none."""
        with self._explained():
            try:
                return bytes(self._client.get(self._store, name).bytes())
            except FileNotFoundError:
                return None

    def read_all(self, names: Sequence[str]) -> dict[str, bytes]:
        """Read several objects at once, but for those that are gone."""
        with ThreadPoolExecutor(AT_ONCE) as pool:
            read = zip(names, pool.map(self.read, names), strict=True)
            return {name: content for name, content in read if content is not None}

    def write(self, name: str, content: bytes | Path) -> None:
        """Write an object, whole or not at all."""
        with self._explained():
            self._client.put(self._store, name, content)

    def create(self, name: str, content: bytes) -> bool:
        """Write an object if there is none of its name: of several who try, one alone gets True."""
        with self._explained():
            try:
                self._client.put(self._store, name, content, mode="create")
            except self._client.exceptions.AlreadyExistsError:
                return False
        return True

    def remove(self, names: Sequence[str]) -> None:
        """Remove objects; what is gone already is no error."""
        with self._explained():
            for name in names:
                try:
                    self._client.delete(self._store, name)
                except FileNotFoundError:
                    continue

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Say an error of the client in one line, which names the address."""
        try:
            yield
        except (self._client.exceptions.BaseError, OSError, ValueError) as error:
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            remedy = "check the address, the credentials and the network"
            raise InputError(self.url, f"cannot be used ({reason})", remedy) from error


def find_remote(url: str) -> Inputs:
    """Find the scans below an address by names alone: volumes, and folders of DICOM slices.

    Raises:
        InputError: there is none, or the store cannot be used.
    """
    folder, _, last = url.rstrip("/").rpartition("/")
    if has_suffix(Path(last), VOLUMES):
        return Inputs((_case(folder, last),), Stock(1))
    left_out, cases, used, root = Ended(), dict[str, Case](), 0, Path(last)
    for name in ObjectStore(url).names():
        path = root / name
        folder = name.rpartition("/")[0]
        if any(part.startswith(".") for part in PurePosixPath(name).parts):
            left_out.add("hidden file", path)
        elif has_suffix(path, VOLUMES):
            if in_mask_folder(path, root) or is_mask_name(path.name.split(".")[0]):
                left_out.add("mask", path)
            else:
                cases[name], used = _case(url, name), used + 1
        elif path.suffix.lower() in DICOM_NAMES or not path.suffix or path.suffix[1:].isdigit():
            cases.setdefault(folder, _case(url, folder))
            used += 1
        else:
            left_out.add(other_kind(path), path)
    if not cases:
        raise InputError(url, "holds no scan", "give the address of a folder with NIfTI files or DICOM slices")
    return Inputs(tuple(cases[name] for name in sorted(cases)), Stock(used, left_out))


def _case(url: str, name: str) -> Case:
    address = f"{url.rstrip('/')}/{name}".rstrip("/")
    path = Path(address.rpartition("://")[2])
    called = path.name.removesuffix(".gz").rpartition(".")[0] if has_suffix(path, VOLUMES) else path.name
    return Case(called, path, None, called, path.parent.name, url=address)


@contextmanager
def at_hand(case: Case) -> Iterator[Case]:
    """Give a case with its files on this machine: fetched or unpacked for as long as this is open.

    Raises:
        InputError: it cannot be fetched, or its folder holds more than one scan.
    """
    if case.url is None:
        with case.opened() as opened:
            yield opened
        return
    with TemporaryDirectory(prefix="sammix-") as temporary:
        root = Path(temporary) / PurePosixPath(case.url).name
        try:
            _fetch(case.url, root)
            found = find_inputs(root).cases
            if len(found) != 1:
                problem = f"holds {len(found)} scans: {', '.join(str(one.series or one.name) for one in found[:5])}"
                raise InputError(root, problem, "give each series a folder of its own in the object store")
            yield replace(found[0], name=case.name)
        except InputError as error:
            if not error.path.is_relative_to(root):
                raise
            place = f"{case.url}/{error.path.relative_to(root)}".removesuffix("/.")
            raise InputError(place, error.problem, error.remedy) from error


def _fetch(url: str, to: Path) -> None:
    """Fetch an object, or all that lie directly in a folder."""
    folder, _, name = url.rpartition("/")
    if has_suffix(to, VOLUMES):
        names, store = [name], ObjectStore(folder)
    else:
        store = ObjectStore(url)
        names = store.direct()
        to.mkdir()
    content = store.read_all(names)
    if not content:
        raise InputError(url, "is not there any more", "list the store again")
    for one, data in content.items():
        (to / one if to.is_dir() else to).write_bytes(data)
