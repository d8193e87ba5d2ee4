from __future__ import annotations

import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest

from sammix.config import load_preset
from sammix.data import prepare
from sammix.errors import InputError
from sammix.slices.store import open_store


@pytest.fixture(scope="module")
def store(hospital_a: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("store") / "whole.h5"
    prepare(hospital_a, path, load_preset("tiny").data)
    return path


def refused(path: Path) -> str:
    with pytest.raises(InputError, match="cannot be read as a store") as error:
        open_store(path)
    return error.value.problem


@pytest.mark.parametrize(
    ("name", "options", "problem"),
    [
        ("images", {"shape": (2**40, 64, 64), "dtype": "f2", "chunks": (1, 64, 64)}, "more than it can hold"),
        ("images", {"shape": (72, 64, 64), "dtype": "f2", "chunks": (72, 64, 64)}, "one at a time"),
        ("images", {"shape": (72, 2**20, 2**20), "dtype": "f2", "chunks": (1, 64, 64)}, "not 64 px squares"),
        ("images", {"shape": (), "dtype": "f2"}, "it holds no images of its own"),
        ("masks", {"shape": (72, 64, 64), "dtype": "f2", "chunks": (1, 64, 64)}, "not 64 px squares"),
        ("index", {"shape": (2**40,), "dtype": "i4", "chunks": (64,)}, "its columns differ in length"),
        ("label", {"shape": (72, 2**40), "dtype": "i1", "chunks": (1, 64)}, "its columns differ in length"),
        ("case", {"data": ["x" * 5000] * 72}, "names of more than 4096 characters"),
    ],
)
def test_absurd_shapes_are_refused_before_they_are_read(store: Path, tmp_path, name, options, problem):
    path = shutil.copy(store, tmp_path / "a.h5")
    with h5py.File(path, "a") as file:
        del file[name]
        file.create_dataset(name, **options)
    assert problem in refused(path)


@pytest.mark.parametrize("kind", ["link", "virtual", "external"])
def test_no_other_file_is_opened(store: Path, tmp_path, kind):
    path = shutil.copy(store, tmp_path / "a.h5")
    with h5py.File(path, "a") as file:
        del file["masks"]
        match kind:
            case "link":
                file["masks"] = h5py.ExternalLink(str(store), "masks")
            case "virtual":
                layout = h5py.VirtualLayout((72, 64, 64), np.uint8)
                layout[:] = h5py.VirtualSource(store, "masks", (72, 64, 64))
                file.create_virtual_dataset("masks", layout)
            case "external":
                file.create_dataset("masks", (72, 64, 64), np.uint8, external="/etc/passwd")
    assert "it holds no masks" in refused(path)


def test_a_refused_store_is_closed_again(store: Path, tmp_path) -> None:
    path = shutil.copy(store, tmp_path / "a.h5")
    with h5py.File(path, "a") as file:
        del file["masks"]
    with pytest.raises(InputError) as error:
        open_store(path)
    with h5py.File(path, "a") as file:  # HDF5 refuses this while another holds it, if only in an error's traceback
        file["masks"] = 1
    assert error


def test_a_damaged_slice_is_named_when_it_is_read(store: Path, tmp_path) -> None:
    path = shutil.copy(store, tmp_path / "a.h5")
    with h5py.File(path) as file:
        where = file["images"].id.get_chunk_info_by_coord((30, 0, 0)).byte_offset
    content = bytearray(path.read_bytes())
    content[where + 20] ^= 1
    path.write_bytes(content)
    table = open_store(path)
    assert np.asarray(table.images[:30]).any()
    with pytest.raises(InputError, match=r"a\.h5: cannot be read as a store"):
        table.images[25:35]
