"""The HDF5 store: slices prepared once, read many times."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import replace
from math import prod
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from sammix.atomic import atomic_path
from sammix.errors import InputError, SammixError
from sammix.readers.dataset import Dataset
from sammix.slices.extract import SliceStack
from sammix.slices.preprocess import Preprocess
from sammix.slices.table import SliceTable, columns

FORMAT = "sammix-slices-1"
BYTES_A_ROW = 64
"""At least, in a store: its columns hold four references to texts of 16 bytes each, unpacked."""

MAX_TEXT = 4096
"""Characters of a case's or patient's name."""

DAMAGE = (OSError, KeyError, ValueError, TypeError, AttributeError, RuntimeError, MemoryError)
"""What h5py raises when a file is not what it says it is."""

_TEXT = ("case", "patient", "source", "split")
_NUMBERS = ("index", "label", "has_mask")


def in_memory(stacks: Iterable[SliceStack], dataset: Dataset, preprocess: Preprocess) -> SliceTable:
    """Gather stacks into arrays: for data that fits (a megabyte holds five slices of 256²)."""
    slim: list[SliceStack] = []
    images, masks = [], []
    for stack in stacks:
        images.append(stack.images.astype(np.float16))
        masks.append(np.zeros(stack.images.shape, np.uint8) if stack.masks is None else stack.masks)
        slim.append(_without_pixels(stack))
    if not slim:
        raise SammixError(f"{dataset.root}: no slice could be read; see the messages above")
    return SliceTable(
        images=np.concatenate(images),
        masks=np.concatenate(masks),
        **columns(slim),
        preprocess=preprocess,
        name=dataset.name,
        organ=dataset.organ,
        fingerprint=dataset.fingerprint(),
    )


def write_store(path: str | Path, stacks: Iterable[SliceStack], dataset: Dataset, preprocess: Preprocess) -> int:
    """Write stacks one by one, so that memory stays bounded; the file appears when it is whole.

    HDF5 since 1.10 keeps checksums of its structure, and ``fletcher32`` of the slices: most damage is noticed.

    Returns:
        The number of slices.

    Raises:
        SammixError: there was no slice to write. OutputError: the disk is full or the folder is not writable.
    """
    slim: list[SliceStack] = []
    with atomic_path(path) as temporary, h5py.File(temporary, "w", libver="v110") as file:
        shape = (0, preprocess.size, preprocess.size)
        options = {
            "maxshape": (None, *shape[1:]),
            "chunks": (1, *shape[1:]),
            "compression": "gzip",
            "shuffle": True,
            "fletcher32": True,
        }
        images = file.create_dataset("images", shape, np.float16, **options)
        masks = file.create_dataset("masks", shape, np.uint8, **options)
        for stack in stacks:
            end = len(images) + len(stack.images)
            images.resize(end, axis=0)
            masks.resize(end, axis=0)
            images[end - len(stack.images) :] = stack.images.astype(np.float16)
            if stack.masks is not None:
                masks[end - len(stack.images) :] = stack.masks
            slim.append(_without_pixels(stack))
        if not slim:
            raise SammixError(f"{dataset.root}: no slice could be read; see the messages above")
        for name, values in columns(slim).items():
            file[name] = values.astype(h5py.string_dtype()) if name in _TEXT else values
        file.attrs.update(
            format=FORMAT,
            preprocess=preprocess.model_dump_json(),
            name=dataset.name,
            organ=dataset.organ,
            fingerprint=dataset.fingerprint(),
        )
        return len(images)


def is_store_name(path: Path) -> bool:
    """Whether a path ends as an HDF5 file does."""
    return path.suffix in {".h5", ".hdf5"}


def is_store(path: Path) -> bool:
    """Whether a path is a file that looks like a store."""
    return path.is_file() and is_store_name(path)


def open_store(path: str | Path) -> SliceTable:
    """Open a prepared store; images and masks stay on disk until they are asked for.

    Raises:
        InputError: not a store, or a damaged one.
    """
    with ExitStack() as opened:
        try:
            file = opened.enter_context(h5py.File(path, "r"))
            if file.attrs.get("format") != FORMAT:
                raise InputError(path, "is HDF5, but not a store of sammix", "make one with `sammix prepare`")
            table = _table(Path(path), file)
        except DAMAGE as error:
            raise _unreadable(path, error) from error
        opened.pop_all()  # it stays open for its slices
        return table


class Pixels:
    """Slices on disk, (N, S, S), read when they are indexed."""

    def __init__(self, path: Path, data: Any) -> None:
        self.path, self.data, self.shape, self.dtype = path, data, data.shape, data.dtype

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, rows: Any) -> NDArray[Any]:
        """The slices of ascending ``rows``. Raises InputError: the file is damaged there."""
        try:
            values: NDArray[Any] = self.data[rows]
        except DAMAGE as error:
            raise _unreadable(self.path, error) from error
        return values


def _table(path: Path, file: h5py.File) -> SliceTable:
    preprocess = Preprocess.model_validate_json(file.attrs["preprocess"])
    images, masks = _column(file, "images"), _column(file, "masks")
    count, shape = len(images), (preprocess.size, preprocess.size)
    if count * BYTES_A_ROW > path.stat().st_size:
        raise ValueError(f"it claims {count:,} slices, more than it can hold")
    for name in (*_TEXT, *_NUMBERS):
        if _column(file, name).shape != (count,):
            raise ValueError("its columns differ in length")
    for data, kind in ((images, "f"), (masks, "u")):
        if data.shape != (count, *shape) or data.dtype.kind != kind or prod(data.chunks or ()) > prod(shape):
            raise ValueError(f"its slices are not {preprocess.size} px squares, one at a time")
    values: dict[str, Any] = {name: _texts(file[name]) for name in _TEXT}
    values |= {name: file[name][:] for name in _NUMBERS}
    return SliceTable(
        images=Pixels(path, images),
        masks=Pixels(path, masks),
        **values,
        preprocess=preprocess,
        name=str(file.attrs["name"]),
        organ=str(file.attrs["organ"]),
        fingerprint=str(file.attrs["fingerprint"]),
    )


def _column(file: h5py.File, name: str) -> Any:
    """A data set that this very file holds: HDF5 can also point at any other file."""
    if not isinstance(file.get(name, getlink=True), h5py.HardLink):
        raise ValueError(f"it holds no {name}")
    data = file[name]
    if not isinstance(data, h5py.Dataset) or data.external or data.is_virtual or data.ndim == 0:
        raise ValueError(f"it holds no {name} of its own")
    return data


def _texts(data: Any) -> NDArray[np.str_]:
    texts = data.asstr()[:]
    if max(map(len, texts), default=0) > MAX_TEXT:
        raise ValueError(f"it holds names of more than {MAX_TEXT} characters")
    return np.asarray(texts.astype(np.str_))


def _unreadable(path: str | Path, error: Exception) -> InputError:
    reason = (str(error).splitlines() or [type(error).__name__])[0]
    return InputError(path, f"cannot be read as a store ({reason})", "make it anew with `sammix prepare`")


def _without_pixels(stack: SliceStack) -> SliceStack:
    """What :func:`columns` needs of a stack, so that its pixels can be let go."""
    tiny = np.empty((len(stack.images), 0), np.float32)
    return replace(stack, images=tiny, masks=None if stack.masks is None else np.empty(0, np.uint8))
