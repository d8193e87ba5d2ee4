"""On a folder, which obstore offers as an object store; the network is tested in tests/whole/test_object_store.py."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from sammix.errors import InputError
from sammix.io import read_volume
from sammix.io.remote import ObjectStore, at_hand, find_remote, is_url


@pytest.fixture
def store(tmp_path: Path, hospital_a: Path, write_series) -> Path:
    root = tmp_path / "store"
    for name in ("volume-0.nii", "sub/volume-1.nii", "labels/volume-0.nii", "ct_seg.nii"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(hospital_a / "volume-0.nii", root / name)
    write_series(root / "series", n=4)
    (root / "notes.txt").touch()
    return root


def test_scans_are_told_by_names_and_all_else_is_accounted_for(store: Path) -> None:
    found = find_remote(f"file://{store}")
    assert {case.name: case.url for case in found.cases} == {
        "series": f"file://{store}/series",
        "volume-1": f"file://{store}/sub/volume-1.nii",
        "volume-0": f"file://{store}/volume-0.nii",
    }
    assert found.stock.record()["files_in_scans"] == 6
    assert {what: len(files) for what, files in found.stock.left_out.files.items()}["mask"] == 2
    assert len(found.stock.left_out.files) == 2


def test_a_scan_is_fetched_for_as_long_as_it_is_open(store: Path) -> None:
    for case in find_remote(f"file://{store}").cases:
        with at_hand(case) as here:
            volume = here.read()
            assert not here.image.is_relative_to(store)
        assert not here.image.exists()
        local = store / (case.url or "").removeprefix(f"file://{store}/")
        np.testing.assert_array_equal(volume.array, read_volume(local).array)
        assert bool(here.files) == (case.name == "series"), "an output in DICOM refers to them"


def test_one_object_is_one_scan(store: Path) -> None:
    (case,) = find_remote(f"file://{store}/sub/volume-1.nii").cases
    with at_hand(case) as here:
        assert here.read().array.shape == (72, 72, 12)


def test_several_series_in_one_folder_are_refused_by_the_address(store: Path, write_series) -> None:
    for file in write_series(store / "other", n=3, SeriesInstanceUID="1.9").iterdir():
        file.rename(store / "series" / f"b{file.name}")
    (case,) = (case for case in find_remote(f"file://{store}").cases if case.name == "series")
    with pytest.raises(InputError, match=rf"^file://{store}/series: holds 2 scans: 1\.2\.3, 1\.9; give"), at_hand(case):
        pass


def test_a_broken_or_missing_object_is_named_by_its_address(store: Path) -> None:
    (store / "volume-0.nii").write_bytes(b"broken")
    case, gone = (find_remote(f"file://{store}/{name}").cases[0] for name in ("volume-0.nii", "volume-9.nii"))
    with pytest.raises(InputError, match=rf"^file://{store}/volume-0\.nii: "), at_hand(case) as here:
        here.read()
    with pytest.raises(InputError, match=rf"^file://{store}/volume-9\.nii: is not there any more"), at_hand(gone):
        pass


def test_of_several_who_create_one_does(tmp_path: Path) -> None:
    store = ObjectStore(f"file://{tmp_path}")
    assert [store.create("a/claim", b"") for _ in range(3)] == [True, False, False]
    store.write("a/b", b"x")
    assert (store.names(), store.direct(), store.read("a/b"), store.read("none")) == (
        ["a/b", "a/claim"],
        [],
        b"x",
        None,
    )
    before = store.written("a/b")
    assert store.written("none") is None
    store.write("a/b", b"yz")
    assert store.written("a/b") != before
    store.remove(["a/b", "none"])
    assert store.read_all(["a/b", "a/claim"]) == {"a/claim": b""}


def test_an_address_is_told_from_a_path() -> None:
    assert is_url("s3://bucket/x")
    assert not is_url("folder/x")
    assert not is_url(Path("/folder"))
    with pytest.raises(InputError, match="cannot be used"):
        ObjectStore("nosuch://bucket")
    with pytest.raises(InputError, match="holds no scan"):
        find_remote("memory:///")
