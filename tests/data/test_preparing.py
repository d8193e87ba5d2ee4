"""With real processes. ``prepare`` by one process is tested in test_loading.py."""

from __future__ import annotations

import os
import shutil
import signal
from dataclasses import fields, replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from sammix.cluster.engine import ATTEMPTS, Engine
from sammix.config import load_preset
from sammix.data import preparing
from sammix.data.preparing import prepare
from sammix.data.store import open_store
from sammix.errors import OutputError, SammixError
from sammix.io import Case, Dataset, open_dataset
from sammix.io.volume import Volume

TINY = load_preset("tiny").data


class Deadly(Case):
    """Kills the process that reads it."""

    def read(self) -> Volume:
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError("unreachable")


def same(one: Path, other: Path) -> None:
    """All that two stores hold is the same."""
    with h5py.File(one) as a, h5py.File(other) as b:
        assert dict(a.attrs) == dict(b.attrs)
        assert a.keys() == b.keys()
        for name in a:
            assert a[name].dtype == b[name].dtype
            np.testing.assert_array_equal(a[name][:], b[name][:])
    assert open_store(one).sha256() == open_store(other).sha256()


@pytest.fixture
def odd(hospital_a: Path, tmp_path: Path) -> Path:
    """Six scans: names of different lengths, one damaged, one with a mask that leaves slices out."""
    folder = tmp_path / "odd"
    shutil.copytree(hospital_a, folder)
    (folder / "volume-0.nii").write_bytes(b"broken")
    for kind in ("volume", "segmentation"):
        (folder / f"{kind}-5.nii").rename(folder / f"{kind}-1000.nii")
    return folder


def test_the_store_of_several_processes_is_that_of_one(
    odd: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(preparing, "PARTS", 4)  # of two cases each
    assert prepare(odd, tmp_path / "one.h5", TINY) == 5 * 12
    said = {(one.levelname, one.message) for one in caplog.records}
    caplog.clear()
    assert prepare(odd, tmp_path / "many.h5", TINY, engine=Engine(workers=2)) == 5 * 12
    assert said <= {(one.levelname, one.message) for one in caplog.records}
    same(tmp_path / "one.h5", tmp_path / "many.h5")
    assert {path.name for path in tmp_path.iterdir()} == {"odd", "one.h5", "many.h5"}


def test_a_scan_that_kills_its_process_twice_is_left_out_and_the_others_are_done(
    hospital_a: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(preparing, "PARTS", 3)  # so that there is an innocent one beside it
    whole = open_dataset(hospital_a)
    cases = tuple(
        Deadly(**{one.name: getattr(case, one.name) for one in fields(case)}) if case.name == "volume-2" else case
        for case in whole.cases
    )
    monkeypatch.setattr(preparing, "open_dataset", lambda *_: replace(whole, cases=cases))
    assert prepare(hospital_a, tmp_path / "a.h5", TINY, engine=Engine(workers=2)) == 5 * 12
    assert f"left out: {hospital_a / 'volume-2.nii'}: took its process down {ATTEMPTS} times" in caplog.text
    assert set(open_store(tmp_path / "a.h5").case) == {f"volume-{k}" for k in (0, 1, 3, 4, 5)}


def parts_of(dataset: Dataset, folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[preparing.Part]:
    monkeypatch.setattr(preparing, "PARTS", 3)
    folder.mkdir(exist_ok=True)
    return list(preparing._cut(dataset, preparing.preprocess_for(TINY, None, None), 1.0, folder))


def test_parts_that_are_there_are_taken_as_they_are_unless_a_file_was_changed(
    odd: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """As after Ctrl-C, or the death of the process that joins them."""
    monkeypatch.setattr(preparing, "connected", lambda _: pytest.fail("started"))
    out = tmp_path / "a.h5"
    prepare(odd, tmp_path / "one.h5", TINY)
    said = {one.message for one in caplog.records}
    caplog.clear()
    dataset, folder = open_dataset(odd), tmp_path / "a.h5.parts"
    for part in (parts := parts_of(dataset, folder, monkeypatch)):
        preparing.write_part(part)
    written = [part.store.stat().st_mtime_ns for part in parts]
    assert preparing.write_part(parts[1]) == preparing.Outcome.read(parts[1].record)
    assert written == [part.store.stat().st_mtime_ns for part in parts]
    caplog.clear()
    prepare(odd, out, TINY, engine=Engine(workers=2))
    same(out, tmp_path / "one.h5")
    assert said <= {one.message for one in caplog.records}, "also of parts that an earlier command read"
    again = {part.name for part in parts_of(dataset, folder, monkeypatch)}
    assert again == {part.name for part in parts}
    os.utime(odd / "segmentation-2.nii", (1, 1))
    assert len(again & {part.name for part in parts_of(dataset, folder, monkeypatch)}) == 2


def test_what_is_in_the_way_is_named(hospital_a: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.h5.parts").touch()
    with pytest.raises(OutputError, match=r"a\.h5\.parts: is a file"):
        prepare(hospital_a, tmp_path / "a.h5", TINY, engine=Engine(workers=2))
    (tmp_path / "record.json").write_text('{"failed": 0}')
    with pytest.raises(OutputError, match="is damaged; remove it"):
        preparing.Outcome.read(tmp_path / "record.json")


def test_nothing_that_could_be_read_is_said_and_leaves_nothing(
    tmp_path: Path, hospital_a: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "broken"
    shutil.copytree(hospital_a, source)
    for path in source.glob("volume-*"):
        path.write_bytes(b"broken")
    monkeypatch.setattr(preparing, "_write_parts", lambda _, parts: [preparing.write_part(part) for part in parts])
    with pytest.raises(SammixError, match="no slice could be read"):
        prepare(source, tmp_path / "a.h5", TINY, engine=Engine(workers=2))
    assert not (tmp_path / "a.h5").exists()
