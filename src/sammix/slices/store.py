"""The HDF5 store: slices prepared once, read many times."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from sammix.atomic import atomic_path
from sammix.errors import InputError, SammixError
from sammix.readers.dataset import Dataset
from sammix.slices.extract import SliceStack
from sammix.slices.preprocess import Preprocess
from sammix.slices.table import SliceTable, columns

FORMAT = "sammix-slices-1"
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

    Returns:
        The number of slices.

    Raises:
        SammixError: there was no slice to write. OutputError: the disk is full or the folder is not writable.
    """
    slim: list[SliceStack] = []
    with atomic_path(path) as temporary, h5py.File(temporary, "w") as file:
        shape = (0, preprocess.size, preprocess.size)
        options = {
            "maxshape": (None, *shape[1:]),
            "chunks": (1, *shape[1:]),
            "compression": "gzip",
            "shuffle": True,
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
    try:
        file = h5py.File(path, "r")
        if file.attrs.get("format") != FORMAT:
            raise InputError(path, "is HDF5, but not a store of sammix", "make one with `sammix prepare`")
        return _table(file)
    except (OSError, KeyError, ValueError, json.JSONDecodeError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(path, f"cannot be read as a store ({reason})", "make it anew with `sammix prepare`") from error


def _table(file: h5py.File) -> SliceTable:
    values: dict[str, Any] = {name: file[name].asstr()[:].astype(np.str_) for name in _TEXT}
    values |= {name: file[name][:] for name in _NUMBERS}
    count = len(file["images"])
    if any(len(column) != count for column in (*values.values(), file["masks"])):
        raise ValueError("its columns differ in length")
    return SliceTable(
        images=file["images"],
        masks=file["masks"],
        **values,
        preprocess=Preprocess.model_validate_json(file.attrs["preprocess"]),
        name=str(file.attrs["name"]),
        organ=str(file.attrs["organ"]),
        fingerprint=str(file.attrs["fingerprint"]),
    )


def _without_pixels(stack: SliceStack) -> SliceStack:
    """What :func:`columns` needs of a stack, so that its pixels can be let go."""
    tiny = np.empty((len(stack.images), 0), np.float32)
    return replace(stack, images=tiny, masks=None if stack.masks is None else np.empty(0, np.uint8))
