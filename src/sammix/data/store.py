"""The HDF5 store: slices prepared once, read many times."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from math import prod
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter

from sammix.data.preprocess import Preprocess
from sammix.data.scan_slices import SliceStack
from sammix.data.table import COLUMNS, SliceTable, columns, without_pixels
from sammix.errors import InputError, SammixError
from sammix.files import atomic_path
from sammix.io.dataset import Dataset
from sammix.io.label_rules import LabelRules

FORMAT = "sammix-slices-4"
FAMILY = "sammix-slices-"  # what the formats of all versions begin with
SIGNATURE = b"\x89HDF\r\n\x1a\n\3"
"""HDF5, version 3 of its format: structures with checksums. Damage to older ones can crash the library itself."""

KINDS = {"images": "f", "masks": "u"}
COLUMN_KINDS = dict.fromkeys(COLUMNS, "S") | {"index": "i", "scan_length": "i", "label": "i", "has_mask": "b"}
"""What each data set holds, by NumPy's letters. Texts are of a fixed length: others lie in a heap without checksums."""

DAMAGE = (OSError, KeyError, ValueError, TypeError, AttributeError, RuntimeError, MemoryError)
"""What h5py raises when a file is not what it says it is."""


def write_store(path: str | Path, stacks: Iterable[SliceStack], dataset: Dataset, preprocess: Preprocess) -> int:
    """Write stacks one by one, so that memory stays bounded; the file appears when it is whole.

    There are checksums of the structure, and ``fletcher32`` of each slice: most damage is noticed.

    Returns:
        The number of slices.

    Raises:
        SammixError: there was no slice to write. OutputError: the disk is full or the folder is not writable.
    """
    slim: list[SliceStack] = []
    with _new_store(path, preprocess) as file:
        images, masks = file["images"], file["masks"]
        for stack in stacks:
            end = len(images) + len(stack.images)
            images.resize(end, axis=0)
            masks.resize(end, axis=0)
            images[end - len(stack.images) :] = stack.images.astype(np.float16)
            masks[end - len(stack.images) :] = stack.masks
            slim.append(without_pixels(stack))
        if not slim:
            raise _empty(dataset)
        for name, values in columns(slim).items():
            file[name] = np.char.encode(values, "utf-8") if COLUMN_KINDS[name] == "S" else values
        _describe(file, dataset, preprocess, slim[0].middle_fraction)
        return len(images)


def join_stores(path: str | Path, parts: Sequence[Path], dataset: Dataset) -> int:
    """Write a store of the slices of others, in their order. They are copied as they are, compressed.

    Args:
        path: of the store. It appears when it is whole.
        parts: stores of cases of ``dataset``, all made in the same way.
        dataset: with the cases of all.

    Returns:
        The number of slices.

    Raises:
        SammixError: there is no part. InputError: a part is damaged. OutputError: the disk is full or the folder is not
            writable.
    """
    if not parts:
        raise _empty(dataset)
    values: dict[str, list[NDArray[Any]]] = {name: [] for name in COLUMNS}
    file, first = _opened(parts[0])
    file.close()
    with _new_store(path, first.preprocess) as whole:
        _describe(whole, dataset, first.preprocess, first.middle_fraction)
        for part in parts:
            file, _ = _opened(part)
            with file:
                for name in KINDS:
                    _copy_slices(file[name], whole[name])
                for name in COLUMNS:
                    values[name].append(file[name][:])
        for name in COLUMNS:
            whole[name] = np.concatenate(values[name])
        return len(whole["images"])


@contextmanager
def _new_store(path: str | Path, preprocess: Preprocess) -> Iterator[h5py.File]:
    """Make a store without slices. It is at its place when it is whole."""
    with atomic_path(path) as temporary, h5py.File(temporary, "w", libver="v110") as file:
        shape = (0, preprocess.size, preprocess.size)
        options = {
            "maxshape": (None, *shape[1:]),
            "chunks": (1, *shape[1:]),
            "compression": "gzip",
            "shuffle": True,
            "fletcher32": True,
        }
        file.create_dataset("images", shape, np.float16, **options)
        file.create_dataset("masks", shape, np.uint8, **options)
        yield file


def _describe(file: h5py.File, dataset: Dataset, preprocess: Preprocess, middle_fraction: float) -> None:
    facts = {
        "format": FORMAT,
        "preprocess": preprocess.model_dump_json(),
        "name": dataset.name,
        "organ": dataset.organ,
        "fingerprint": dataset.fingerprint(),
        "rules": json.dumps(asdict(dataset.rules)),
    }
    file.attrs.update({name: np.bytes_(text.encode()) for name, text in facts.items()})
    file.attrs["middle_fraction"] = np.float64(middle_fraction)


def _empty(dataset: Dataset) -> SammixError:
    return SammixError(f"{dataset.root}: no slice could be read; see the messages above")


def _copy_slices(source: Any, to: Any) -> None:
    """Append the slices of a part, a chunk each, without unpacking them."""
    start = len(to)
    to.resize(start + len(source), axis=0)
    for k in range(len(source)):
        filters, content = source.id.read_direct_chunk((k, 0, 0))
        to.id.write_direct_chunk((start + k, 0, 0), content, filters)


def is_store_name(path: Path) -> bool:
    """Tell whether a path ends as an HDF5 file does."""
    return path.suffix in {".h5", ".hdf5"}


def is_store(path: Path) -> bool:
    """Tell whether a path is a file that looks like a store."""
    return path.is_file() and is_store_name(path)


def open_store(path: str | Path) -> SliceTable:
    """Open a prepared store; images and masks stay on disk until they are asked for.

    Raises:
        InputError: not a store, a damaged one, or one of another version's format.
    """
    return _opened(Path(path))[1]  # the file stays open for its slices


def _opened(path: Path) -> tuple[h5py.File, SliceTable]:
    """Open a store, or refuse it as :func:`open_store` does."""
    with ExitStack() as opened:
        try:
            with path.open("rb") as start:
                if start.read(len(SIGNATURE)) != SIGNATURE:
                    raise ValueError("it is not HDF5 as sammix writes it")
            file = opened.enter_context(h5py.File(path, "r"))
            _check_format(path, _fact(file, "format"))
            table = _table(path, file)
        except DAMAGE as error:
            raise _unreadable(path, error) from error
        opened.pop_all()
        return file, table


class Pixels:
    """Slices on disk, (N, S, S), read when they are indexed."""

    def __init__(self, path: Path, data: Any) -> None:
        self.path, self.data, self.shape, self.dtype = path, data, data.shape, data.dtype

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, rows: Any) -> NDArray[Any]:
        """Read the slices of ascending ``rows``. Raises InputError: the file is damaged there."""
        try:
            values: NDArray[Any] = self.data[rows]
        except DAMAGE as error:
            raise _unreadable(self.path, error) from error
        return values


def _check_format(path: Path, found: str) -> None:
    """Raise InputError for a store of another version, ValueError for what is no store at all."""
    if not found.startswith(FAMILY):
        raise ValueError(f"its format is “{found}”, not that of a store")
    if found != FORMAT:
        raise InputError(
            path,
            f"is a store in the format {found} of another version of sammix; this one reads {FORMAT}",
            "prepare it again with `sammix prepare`",
        )


def _table(path: Path, file: h5py.File) -> SliceTable:
    preprocess = Preprocess.model_validate_json(_fact(file, "preprocess"))
    pixels = {name: _data(file, name, kind) for name, kind in KINDS.items()}
    count, shape = len(pixels["images"]), (preprocess.size, preprocess.size)
    for data in pixels.values():
        if data.shape != (count, *shape) or prod(data.chunks or ()) > prod(shape):
            raise ValueError(f"its slices are not {preprocess.size} px squares, one at a time")
    values: dict[str, Any] = {name: Pixels(path, data) for name, data in pixels.items()}
    values |= {name: _column(path, _data(file, name, kind), count) for name, kind in COLUMN_KINDS.items()}
    values |= {name: _fact(file, name) for name in ("name", "organ", "fingerprint")}
    return SliceTable(**values, middle_fraction=_share(file), preprocess=preprocess, rules=_rules(file))


def _share(file: h5py.File) -> float:
    """Read which central share of each scan the store holds."""
    if file.attrs.get_id("middle_fraction").dtype.kind != "f":
        raise ValueError("its middle_fraction is no number")
    share = float(file.attrs["middle_fraction"])
    if not 0 < share <= 1:
        raise ValueError(f"its middle_fraction is {share:g}, not a share")
    return share


def _rules(file: h5py.File) -> LabelRules:
    """Read the rules under which the labels were read."""
    return TypeAdapter(LabelRules).validate_python(json.loads(_fact(file, "rules")))


def _fact(file: h5py.File, name: str) -> str:
    """Read an attribute. Refuse one of variable length: the library may never come back from a damaged heap."""
    if file.attrs.get_id(name).dtype.kind != "S":
        raise ValueError(f"its {name} is no text as sammix writes it")
    text: str = file.attrs[name].decode()
    return text


def _data(file: h5py.File, name: str, kind: str) -> Any:
    """Find a data set that this very file holds: HDF5 can also point at any other file."""
    if not isinstance(file.get(name, getlink=True), h5py.HardLink):
        raise ValueError(f"it holds no {name}")
    data = file[name]
    if not isinstance(data, h5py.Dataset) or data.external or data.is_virtual or not data.shape:
        raise ValueError(f"it holds no {name} of its own")
    if data.dtype.kind != kind:
        raise ValueError(f"its {name} are of another type")
    return data


def _column(path: Path, data: Any, count: int) -> NDArray[Any]:
    """Read a column, a value a slice. It must be stored plainly, so that the file's size bounds what is read."""
    if data.shape != (count,) or data.chunks or data.nbytes > path.stat().st_size:
        raise ValueError("its columns differ in length, or claim more than it can hold")
    values: NDArray[Any] = data[:]
    return np.char.decode(values, "utf-8") if data.dtype.kind == "S" else values


def _unreadable(path: str | Path, error: Exception) -> InputError:
    reason = (str(error).splitlines() or [type(error).__name__])[0]
    return InputError(path, f"cannot be read as a store ({reason})", "make it anew with `sammix prepare`")
