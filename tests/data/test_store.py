from __future__ import annotations

import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest

from sammix.config import load_preset
from sammix.data.preparing import prepare
from sammix.data.store import FORMAT, open_store
from sammix.errors import InputError


@pytest.fixture(scope="module")
def store(hospital_a: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("store") / "whole.h5"
    prepare(hospital_a, path, load_preset("tiny").data)
    return path


def refused(path: Path) -> str:
    with pytest.raises(InputError, match="cannot be read as a store") as error:
        open_store(path)
    return error.value.problem


SQUARES = {"dtype": "f2", "chunks": (1, 64, 64)}


@pytest.mark.parametrize(
    ("name", "options", "problem"),
    [
        ("images", SQUARES | {"shape": (2**40, 64, 64)}, "not 64 px squares"),
        ("images", SQUARES | {"shape": (72, 2**20, 2**20)}, "not 64 px squares"),
        ("images", SQUARES | {"shape": (72, 64, 64), "chunks": (72, 64, 64)}, "one at a time"),
        ("images", {"shape": (), "dtype": "f2"}, "it holds no images of its own"),
        ("masks", SQUARES | {"shape": (72, 64, 64)}, "its masks are of another type"),
        ("index", {"shape": (71,), "dtype": "i4"}, "its columns differ in length"),
        ("index", {"shape": (72,), "dtype": "i4", "chunks": (72,)}, "claim more than it can hold"),
        ("label", {"shape": (72, 2**40), "dtype": "i1", "chunks": (1, 64)}, "its columns differ in length"),
        ("case", {"shape": (72,), "dtype": "S1000000"}, "claim more than it can hold"),
        ("case", {"data": ["a"] * 72}, "its case are of another type"),
        ("case", {"data": np.full(72, b"\xff")}, "can't decode"),
    ],
)
def test_absurd_shapes_are_refused_before_they_are_read(store: Path, tmp_path, name, options, problem):
    path = shutil.copy(store, tmp_path / "a.h5")
    with h5py.File(path, "a", libver="v110") as file:
        del file[name]
        file.create_dataset(name, **options)
    assert problem in refused(path)


def test_a_store_that_claims_terabytes_is_refused(store: Path, tmp_path) -> None:
    path = shutil.copy(store, tmp_path / "a.h5")
    with h5py.File(path, "a", libver="v110") as file:
        for name, data in list(file.items()):
            kind, shape = data.dtype, (2**36, *data.shape[1:])
            del file[name]
            file.create_dataset(name, shape, kind, chunks=(1, *shape[1:]) if shape[1:] else None)
    assert "claim more than it can hold" in refused(path)


def test_texts_of_variable_length_are_not_read(store: Path, tmp_path, monkeypatch) -> None:
    """They lie in a heap without checksum: a damaged one kept the library busy for ever."""
    path = shutil.copy(store, tmp_path / "a.h5")
    with h5py.File(path, "a", libver="v110") as file:
        file.attrs["format"] = FORMAT
    monkeypatch.setattr(h5py.AttributeManager, "__getitem__", lambda *_: pytest.fail("read"))
    assert "its format is no text as sammix writes it" in refused(path)


@pytest.mark.parametrize("libver", ["earliest", "v108"])
def test_a_store_without_checksums_is_not_opened(store: Path, tmp_path, libver):
    """The library crashes on some damaged files of these versions."""
    with h5py.File(store) as whole, h5py.File(tmp_path / "a.h5", "w", libver=(libver, "v110")) as file:
        file.attrs.update(whole.attrs)
        for name in whole:
            whole.copy(name, file)
    assert "not HDF5 as sammix writes it" in refused(tmp_path / "a.h5")


def test_a_store_of_another_version(store: Path, tmp_path) -> None:
    path = shutil.copy(store, tmp_path / "a.h5")
    with h5py.File(path, "a") as file:
        file.attrs["format"] = np.bytes_("sammix-slices-2")
    with pytest.raises(InputError) as error:
        open_store(path)
    assert "a store in the format sammix-slices-2 of another version of sammix; this one reads" in error.value.problem
    assert FORMAT in error.value.problem
    assert error.value.remedy == "prepare it again with `sammix prepare`"
    with h5py.File(path, "a") as file:
        file.attrs["format"] = np.bytes_("keras-3")
    assert "its format is “keras-3”, not that of a store" in refused(path)


@pytest.mark.parametrize(
    ("share", "problem"),
    [(np.float64(1.5), "middle_fraction is 1.5"), (np.float64("nan"), "is nan"), (np.bytes_("1"), "is no number")],
)
def test_a_share_that_is_none(store: Path, tmp_path, share: object, problem: str) -> None:
    path = shutil.copy(store, tmp_path / "a.h5")
    with h5py.File(path, "a") as file:
        file.attrs["middle_fraction"] = share
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
