from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import pytest

from sammix.models.card import FAST_MODEL


def test_masks_of_another_model_of_the_same_name_are_not_kept(
    tiny_run: Path, hospital_a: Path, tmp_path: Path, run, capsys: pytest.CaptureFixture[str]
) -> None:
    from safetensors.torch import load_file, save_file

    shutil.copytree(tiny_run / "model", tmp_path / "model")
    command = ["predict", tmp_path / "model", hospital_a / "volume-0.nii", "--out", tmp_path / "out", "--device", "cpu"]
    assert run(*command) == 0
    assert run(*command, "--skip-done") == 0
    state = load_file(tmp_path / "model" / "model.safetensors")
    name = next(name for name, value in state.items() if value.is_floating_point())
    save_file(state | {name: state[name] + 1}, tmp_path / "model" / "model.safetensors")
    capsys.readouterr()
    assert run(*command, "--skip-done") == 2
    assert "was made by model" in capsys.readouterr().err


def test_the_same_command_from_another_folder_knows_its_own_output(
    tiny_run: Path, hospital_a: Path, tmp_path: Path, run, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    shutil.copy(hospital_a / "volume-0.nii", tmp_path / "scan.nii")
    (tmp_path / "elsewhere").mkdir()
    for folder, scan in ((tmp_path, "scan.nii"), (tmp_path / "elsewhere", "../scan.nii")):
        monkeypatch.chdir(folder)
        assert run("predict", tiny_run, scan, "--out", tmp_path / "out", "--skip-done", "--device", "cpu") == 0
    assert "1 of 1 scans are done already" in capsys.readouterr().err


def test_a_picture_comes_where_it_is_asked_for(tiny_run: Path, hospital_a: Path, tmp_path: Path, run) -> None:
    command = ["predict", tiny_run, hospital_a / "volume-0.nii", "--device", "cpu"]
    assert run(*command, "--out", tmp_path / "plain") == 0
    assert run(*command, "--out", tmp_path / "shown", "--preview") == 0
    assert not list((tmp_path / "plain").glob("*.png"))
    assert [path.name for path in (tmp_path / "shown").glob("*.png")] == ["volume-0_preview.png"]
    assert json.loads((tmp_path / "shown" / "manifest.json").read_text())["scans"][0]["preview"]


def test_what_excludes_itself_is_refused(hospital_a: Path, tmp_path: Path, run, capsys) -> None:
    assert run("predict", hospital_a, "--out", tmp_path, "--skip-done", "--overwrite") == 2
    assert "say one of them" in capsys.readouterr().err


def test_a_model_after_the_scans_and_a_misspelt_one_are_said_in_one_line(
    hospital_a: Path, tmp_path, run, capsys
) -> None:
    assert run("predict", hospital_a / "volume-0.nii", "liver-ct-lite", "--out", tmp_path / "out") == 2
    assert "the model comes first: sammix predict liver-ct-lite" in _words(capsys)
    assert run("predict", "liver-ct-light", hospital_a / "volume-0.nii", "--out", tmp_path / "out") == 2
    assert "did you mean liver-ct-lite?" in _words(capsys)
    assert run("evaluate", "liver-ct-light", hospital_a, "--out", tmp_path / "out") == 2
    assert "did you mean liver-ct-lite?" in _words(capsys)


def test_fast_takes_the_fast_model_and_no_other_beside_it(
    tiny_run: Path, hospital_a: Path, tmp_path: Path, run, capsys
) -> None:
    scan, out = next(hospital_a.glob("volume-0*")), tmp_path / "out"
    assert run("predict", "--fast", scan, "--out", out, "--device", "cpu") == 0
    assert json.loads((out / "manifest.json").read_text())["model"] == FAST_MODEL
    assert run("predict", tiny_run, scan, "--fast", "--out", tmp_path / "other") == 2
    assert f"--fast takes the model {FAST_MODEL}; leave out" in capsys.readouterr().err


def test_a_run_leaves_a_page(tiny_run: Path, hospital_a: Path, tmp_path: Path, run, capsys) -> None:
    assert run("predict", tiny_run, hospital_a / "volume-0.nii", "--out", tmp_path / "out", "--device", "cpu") == 0
    assert capsys.readouterr().out.strip() == str(tmp_path / "out" / "index.html")
    page = (tmp_path / "out" / "index.html").read_text()
    for file in ("pictures/volume-0.jpg", "pictures/volume-0.svg", "volume-0_liver.nii.gz"):
        assert file in page
        assert (tmp_path / "out" / file).is_file()


def _words(capsys: pytest.CaptureFixture[str]) -> str:
    return " ".join(capsys.readouterr().err.split())


def test_shards_into_one_folder_make_one_manifest(
    tiny_run: Path, hospital_a: Path, tmp_path: Path, run, capsys
) -> None:
    out = tmp_path / "out"
    command = ["predict", tiny_run, hospital_a, "--device", "cpu"]
    assert run(*command, "--out", tmp_path / "whole") == 0
    for k in (2, 1):
        assert run(*command, "--out", out, "--shard", f"{k}/2") == 0
    told = capsys.readouterr().err
    sizes = [int(n) for n in re.findall(r"^shard ./2: (\d+) of 6 scans$", told, flags=re.MULTILINE)]
    assert sum(sizes) == 6
    shared, whole = (json.loads((path / "manifest.json").read_text()) for path in (out, tmp_path / "whole"))
    assert [(one["shard"], one["ended"]) for one in shared["shards"]] == [("2/2", True), ("1/2", True)]
    names = {scan["name"] for scan in whole["scans"]}
    assert len(shared["scans"]) == len(names)
    assert {scan["name"] for scan in shared["scans"]} == names
    assert len(json.loads((out / "statistics.json").read_text())["scans"]) == 6
    files, of_whole = ({path.relative_to(f) for path in f.rglob("*")} for f in (out, tmp_path / "whole"))
    assert files == of_whole
    page = (out / "index.html").read_text()
    assert set(re.findall(r'data-name="([^"]*)"', page)) == names, "the page is of all shards"
    for name in names:
        one, other = (nib.load(path / f"{name}_liver.nii.gz").get_fdata() for path in (out, tmp_path / "whole"))
        assert (one == other).all()
    assert run(*command, "--out", out, "--shard", "1/3") == 2
    assert "was begun in 2 shards, not in 3" in capsys.readouterr().err


def test_a_shard_that_cannot_be_is_refused(hospital_a: Path, tmp_path: Path, run, capsys) -> None:
    assert run("predict", hospital_a, "--out", tmp_path / "out", "--shard", "3/2") == 2
    assert "counted from 1" in capsys.readouterr().err
    assert run("predict", hospital_a, "--out", tmp_path, "--shard", "1/2", "--overwrite") == 2
    assert "beside other shards" in capsys.readouterr().err


def test_sigterm_ends_it_with_all_records_written(tiny_run: Path, hospital_a: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "sammix", "predict", tiny_run, hospital_a, "--out", tmp_path / "out"]
    process = subprocess.Popen([*command, "--device", "cpu"], stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("[2/6]"):
            process.terminate()
            break
    process.communicate()
    assert process.returncode == 128 + signal.SIGTERM
    done = json.loads((tmp_path / "out" / "manifest.json").read_text())["scans"]
    assert done
    assert {scan["mask"] for scan in done} == {path.name for path in (tmp_path / "out").glob("*.nii.gz")}
    assert not list((tmp_path / "out").rglob(".*"))
    page = (tmp_path / "out" / "index.html").read_text()
    assert set(re.findall(r'data-name="([^"]*)"', page)) == {scan["name"] for scan in done}
    assert {path.stem for path in (tmp_path / "out" / "pictures").iterdir()} == {scan["name"] for scan in done}
