from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest


def test_help_and_version_do_not_import_torch() -> None:
    code = (
        "import sys; sys.argv = ['sammix', '--help']\n"
        "from sammix.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'numpy', 'transformers', 'nibabel', 'matplotlib'} & set(sys.modules)\n"
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "predict" in done.stdout


def test_the_module_is_the_program() -> None:
    done = subprocess.run([sys.executable, "-m", "sammix", "--version"], capture_output=True, text=True, check=False)
    assert done.stdout.startswith("sammix ")


def test_the_whole_way_from_scans_to_a_report(hospital_a: Path, hospital_b: Path, tmp_path: Path, run) -> None:
    store, model, masks, here, there = (tmp_path / name for name in ("a.h5", "run", "masks", "here", "there"))
    assert run("prepare", hospital_a, "--out", store, "--preset", "tiny") == 0
    fit = ["fit", store, "--preset", "tiny", "--labels", "4", "--set", "fit.epochs=1", "--out", model]
    assert run(*fit, "--device", "cpu") == 0
    assert run("predict", model, hospital_b, "--out", masks, "--preview") == 0
    assert run("evaluate", model, hospital_a, "--out", here) == 0
    assert run("evaluate", model, hospital_b, "--split", "all", "--out", there) == 0
    page = tmp_path / "compare.html"
    assert run("report", here, there, "--out", page) == 0
    assert "<html" in page.read_text()

    metrics = json.loads((here / "metrics.json").read_text())
    splits = json.loads((model / "config.json").read_text())["data"]["splits"]
    tested = {case for case, split in splits.items() if split == "test"}
    assert metrics["protocol"]["split"] == "unseen"
    assert set(metrics["per_case"]) == tested, "only patients that the fit did not see"
    assert metrics["volume"]["n"] == len(tested) > 0
    assert metrics["prompts"]["source"] == "cam"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["fit", "DATA", "--preset", "huge", "--out", "OUT"], "no preset is called 'huge'"),
        (["fit", "DATA", "--set", "fit.epoch=3", "--out", "OUT"], "did you mean 'fit.epochs'"),
        (["fit", "nowhere", "--preset", "tiny", "--out", "OUT"], "nowhere"),
        (["fit", "DATA", "--labels", "none", "--out", "OUT"], "--labels takes a number"),
        (["fit", "DATA", "--labels", "²", "--out", "OUT"], "--labels takes a number"),
        (["fit", "DATA", "--seed", "-1", "--out", "OUT"], "--seed"),
        (["demo", "--seed", "-1", "--out", "OUT"], "--seed"),
        (["reproduce", "DATA", "--labels", "5,none", "--out", "OUT"], "--labels takes numbers above 0 or 'all'"),
        (["reproduce", "DATA", "--labels", "0", "--out", "OUT"], "--labels takes numbers above 0 or 'all'"),
        (["fit", "DATA", "--preset", "tiny", "--device", "tpu", "--out", "OUT"], "device 'tpu' is not available"),
        (["predict", "DATA", "--device", "cuda:99", "--out", "OUT"], "device 'cuda:99' is not available"),
        (["predict", "nowhere", "DATA", "--out", "OUT"], "nowhere: there is no such file or folder"),
        (["predict", "liver-ct-lite", "--out", "OUT"], "name a scan, or several, after the model"),
        (["predict", "EMPTY", "--out", "OUT"], "holds no file; is this the right folder?"),
        (["predict", "TEXT", "--out", "OUT"], "is of no format that sammix reads"),
        (["predict", "DATA", "--out", "TEXT/out"], "is a file, not a folder"),
        (["label", "EMPTY"], "holds no file; is this the right folder?"),
        (["label", "TEXT"], "is of no format that sammix reads"),
        (["evaluate", "liver-ct-lite", "EMPTY", "--out", "OUT"], "holds no file; is this the right folder?"),
        (["fit", "EMPTY", "--out", "OUT"], "holds no file; is this the right folder?"),
        (["fit", "DATA", "--preset", "tiny", "--out", "TEXT/run"], "is a file, not a folder"),
        (["fit", "DATA", "--set", "fit=3", "--out", "OUT"], "there are: fit.epochs"),
        (["report", "nowhere", "--out", "OUT.html"], "there is no such file or folder"),
        (["report", "TEXT", "--out", "OUT.html"], "is a file, not a folder"),
        (["evaluate", "DATA", "DATA", "--out", "OUT"], "holds no model"),
        (["prepare", "DATA", "--out", "OUT"], "let it end in .h5"),
        (["info", "nowhere"], "nowhere"),
        (["weights", "fetch", "nothing"], "nothing"),
        (["no-such-verb"], "No such command"),
    ],
)
def test_bad_usage_is_one_line_and_exit_code_2(
    arguments: list[str], message: str, hospital_a: Path, tmp_path: Path, run, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.txt").write_text("no scan")
    places = {"DATA": hospital_a, "OUT": "out", "nowhere": "nowhere", "EMPTY": "empty", "TEXT": "notes.txt"}
    places = {word: str(tmp_path / place) for word, place in places.items()}
    written = re.compile("|".join(places))
    assert run(*[written.sub(lambda found: places[found[0]], word) for word in arguments]) == 2
    shown = capsys.readouterr()
    assert message in shown.err
    assert "Traceback" not in shown.err
    assert not (tmp_path / "out").exists()


def test_ctrl_c_is_one_line(run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted(*_: object) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr("sammix.data.description.describe_path", interrupted)
    assert run("info", "scan.nii") == 130
    assert capsys.readouterr().err == "interrupted; what was finished is whole\n"


def test_a_full_disk_is_one_line(run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def full(*_: object) -> str:
        raise OSError(28, "No space left on device", "store.h5")

    monkeypatch.setattr("sammix.data.description.describe_path", full)
    assert run("info", "scan.nii") == 2
    assert capsys.readouterr().err == "error: store.h5: No space left on device\n"


@pytest.mark.parametrize("columns", ["40", "80"])
def test_no_line_of_the_help_is_cut(
    run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, columns: str
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    for command in (["--help"], ["weights", "--help"]):
        run(*command)
        listed = capsys.readouterr().out.split("Commands:")[1]
        assert "..." not in listed
        assert listed.rstrip().endswith((".", "verify.", "SHA-256."))


@pytest.mark.parametrize("verb", ["predict", "report"])
def test_what_may_be_repeated_has_one_ellipsis(run, capsys: pytest.CaptureFixture[str], verb: str) -> None:
    run(verb, "--help")
    usage = capsys.readouterr().out.split("\n\n")[0]
    assert usage.endswith("...")
    assert "…" not in usage
