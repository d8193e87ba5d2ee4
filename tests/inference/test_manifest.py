from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from sammix.errors import OutputError
from sammix.inference.manifest import COLUMNS, SCANS, Manifest, note
from sammix.inference.shared_folder import SharedFolder

SETTINGS = {"sammix": "1", "model": "lite-50", "model_sha256": "a" * 64, "organ": "liver", "format": "nifti"}
STATISTICS: dict[str, Any] = dict.fromkeys(COLUMNS[1:], 1.0)


def done(out: Path, origin: dict[str, str], **settings: Any) -> SharedFolder:
    """A place with one scan that is done, and its mask."""
    out.mkdir(exist_ok=True)
    (out / "ct.nii.gz").touch()
    to, manifest = SharedFolder(out), Manifest(SharedFolder(out), {**SETTINGS, **settings})
    manifest.begin(keep=False)
    note(to, "ct", {**origin, "status": "done", "mask": "ct.nii.gz"}, STATISTICS)
    manifest.end()
    return to


def again(out: Path, shard: dict[str, Any] | None = None, **settings: Any) -> Manifest:
    manifest = Manifest(SharedFolder(out), {**SETTINGS, **settings}, shard=shard)
    manifest.begin(keep=True)
    return manifest


def test_the_records_can_be_read_by_others(tmp_path: Path) -> None:
    note(done(tmp_path, {"input": "/in/ct.nii"}), "bad", {"input": "/in/bad.nii", "status": "failed"}, None)
    again(tmp_path).end()
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert [scan["name"] for scan in manifest["scans"]] == ["ct", "bad"]
    assert manifest["model_sha256"] == "a" * 64
    with (tmp_path / "statistics.csv").open(newline="") as file:
        assert [row["name"] for row in csv.DictReader(file)] == ["ct"]


def test_what_is_done_is_known_while_its_files_are_there(tmp_path: Path) -> None:
    done(tmp_path, {"input": "/in/ct.nii"})
    assert again(tmp_path).is_done("ct", ("mask",))
    assert not again(tmp_path).is_done("ct", ("mask", "preview"))
    assert not again(tmp_path).is_done("other", ("mask",))
    (tmp_path / "ct.nii.gz").unlink()
    assert not again(tmp_path).is_done("ct", ("mask",))


def test_masks_of_another_model_of_the_same_name_are_refused_naming_both(tmp_path: Path) -> None:
    done(tmp_path, {"input": "/in/ct.nii"})
    with pytest.raises(OutputError, match=r"made by model lite-50 \(SHA-256 a{12}…\), not by .* \(SHA-256 b{12}…\)"):
        again(tmp_path, model_sha256="b" * 64)


def test_one_model_under_another_name_is_the_same_model(tmp_path: Path) -> None:
    done(tmp_path, {"input": "/in/ct.nii"})
    assert again(tmp_path, model="renamed").is_done("ct", ("mask",))


def test_where_a_models_content_is_not_known_its_name_counts(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    done(tmp_path, {"input": "/in/ct.nii"}, model_sha256=None)
    with pytest.raises(OutputError, match="made by model lite-50, not by model other"):
        again(tmp_path, model="other")
    again(tmp_path)
    assert "does not say which content model lite-50 had" in caplog.text


def test_a_manifest_of_an_earlier_version_knows_no_content(tmp_path: Path) -> None:
    done(tmp_path, {"input": "in/ct.nii"})
    path = tmp_path / "manifest.json"
    old = json.loads(path.read_text())
    del old["model_sha256"]
    path.write_text(json.dumps(old))
    manifest = again(tmp_path)
    assert manifest.is_done("ct", ("mask",))
    assert not manifest.holds_another("ct", {"input": "/scans/ct.nii"}), "of a relative path only the name is known"
    assert not manifest.holds_another("ct", {"input": "/scans/ct.nii", "series": "1.2"}), "nor was the series recorded"
    assert manifest.holds_another("ct", {"input": "/scans/other.nii"})


def test_an_absolute_path_and_a_series_tell_scans_of_one_name_apart(tmp_path: Path) -> None:
    done(tmp_path, {"input": "/in/ct", "series": "1.2"})
    manifest = again(tmp_path)
    assert not manifest.holds_another("ct", {"input": "/in/ct", "series": "1.2"})
    assert manifest.holds_another("ct", {"input": "/other/ct", "series": "1.2"})
    assert manifest.holds_another("ct", {"input": "/in/ct", "series": "1.3"})
    assert not manifest.holds_another("new", {"input": "/in/ct", "series": "1.3"})


def test_what_was_given_is_recorded_from_the_start_and_kept(tmp_path: Path) -> None:
    first = {"input": "/a", "files_in_scans": 3}
    Manifest(SharedFolder(tmp_path), SETTINGS, [first]).begin(keep=False)
    assert json.loads((tmp_path / "manifest.json").read_text())["inputs"] == [first]
    assert json.loads((tmp_path / "statistics.json").read_text())["scans"] == []
    more = [{"input": "/a", "files_in_scans": 4}, {"input": "/b", "error": "no scan"}]
    Manifest(SharedFolder(tmp_path), SETTINGS, more).begin(keep=True)
    assert json.loads((tmp_path / "manifest.json").read_text())["inputs"] == more


def test_other_settings_are_refused(tmp_path: Path) -> None:
    done(tmp_path, {"input": "/in/ct.nii"})
    with pytest.raises(OutputError, match="was made with another format nifti"):
        again(tmp_path, format="dicom-seg")
    assert again(tmp_path, sammix="2").entries, "another version of sammix goes on"


def test_masks_of_another_version_are_kept_and_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Of an earlier run, or of another machine that works beside this one."""
    done(tmp_path, {"input": "/in/ct.nii"})
    assert again(tmp_path).is_done("ct", ("mask",))
    assert not caplog.text
    assert again(tmp_path, sammix="2").is_done("ct", ("mask",))
    assert "was written by sammix 1, not by 2; its masks are kept, though this version might make others" in caplog.text


def test_a_damaged_manifest_is_named(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text("{")
    with pytest.raises(OutputError, match="cannot be used by --skip-done"):
        again(tmp_path)


def test_a_record_of_another_process_is_in_the_files_of_all(tmp_path: Path) -> None:
    one, other = again(tmp_path), again(tmp_path)
    entry = {"input": "/in/a.nii", "status": "done", "mask": "a.nii.gz"}
    one.take(note(one.to, "a", entry, STATISTICS))
    note(other.to, "b", {**entry, "input": "/in/b.nii"}, STATISTICS)
    one.end()
    written = json.loads((tmp_path / "manifest.json").read_text())
    assert [scan["name"] for scan in written["scans"]] == ["a", "b"]
    assert [row["name"] for row in json.loads((tmp_path / "statistics.json").read_text())["scans"]] == ["a", "b"]


def test_what_a_killed_run_noted_is_forgotten_where_all_begins_anew(tmp_path: Path) -> None:
    first = again(tmp_path)
    note(first.to, "a", {"input": "/in/a.nii", "status": "done", "mask": "a.nii.gz"}, STATISTICS)
    fresh = Manifest(SharedFolder(tmp_path), SETTINGS)
    fresh.begin(keep=False)
    assert not fresh.entries
    assert not list(tmp_path.glob(f"{SCANS}/*"))


def test_a_damaged_record_is_named(tmp_path: Path) -> None:
    again(tmp_path).to.write(f"{SCANS}/a.json", "[")
    with pytest.raises(OutputError, match=r"scans/a\.json: is damaged; remove it"):
        again(tmp_path)


def shard(name: str, scans_named: str = "ab") -> dict[str, Any]:
    return {"shard": name, "scans": 1, "of_scans": 2, "set": scans_named}


def test_shards_of_another_number_are_refused(tmp_path: Path) -> None:
    again(tmp_path, shard("1/2")).end()
    with pytest.raises(OutputError, match=r"was begun in 2 shards, not in 3; say --shard K/2"):
        again(tmp_path, shard("3/3"))
    again(tmp_path, shard("2/2"))
    again(tmp_path).end()
    told = json.loads((tmp_path / "manifest.json").read_text())["shards"]
    assert [(one["shard"], one["ended"]) for one in told] == [("1/2", True), ("2/2", False)]


def test_shards_that_found_other_scans_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    again(tmp_path, shard("1/2"))
    again(tmp_path, shard("2/2"))
    assert "give all shards the same inputs" not in caplog.text
    again(tmp_path, shard("2/2", "abc"))
    assert "give all shards the same inputs" in caplog.text
