from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from sammix.cli import main


def run(arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(sys, "argv", ["sammix", *arguments])
    try:
        main()
    except SystemExit as leave:
        return int(leave.code or 0)
    return 0


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


def test_the_whole_way_from_scans_to_a_report(
    hospital_a: Path,
    hospital_b: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    store, model, masks, here, there = (tmp_path / name for name in ("a.h5", "run", "masks", "here", "there"))
    assert run(["prepare", str(hospital_a), "--out", str(store), "--preset", "tiny"], monkeypatch) == 0
    fit = ["fit", str(store), "--preset", "tiny", "--labels", "4", "--set", "fit.epochs=1", "--out", str(model)]
    assert run([*fit, "--device", "cpu"], monkeypatch) == 0
    assert run(["predict", str(model), str(hospital_b), "--out", str(masks), "--preview"], monkeypatch) == 0
    assert run(["evaluate", str(model), str(hospital_a), "--out", str(here)], monkeypatch) == 0
    assert run(["evaluate", str(model), str(hospital_b), "--split", "all", "--out", str(there)], monkeypatch) == 0
    page = tmp_path / "compare.html"
    assert run(["report", str(here), str(there), "--out", str(page)], monkeypatch) == 0
    assert "<html" in page.read_text()

    metrics = json.loads((here / "metrics.json").read_text())
    splits = json.loads((model / "config.json").read_text())["data"]["splits"]
    tested = {case for case, split in splits.items() if split == "test"}
    assert metrics["protocol"]["split"] == "test"
    assert set(metrics["per_case"]) == tested, "only patients that the fit did not see"
    assert metrics["volume"]["n"] == len(tested)
    assert metrics["prompts"]["source"] == "cam"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["fit", "DATA", "--preset", "huge", "--out", "OUT"], "no preset is called 'huge'"),
        (["fit", "DATA", "--set", "fit.epoch=3", "--out", "OUT"], "did you mean 'fit.epochs'"),
        (["fit", "nowhere", "--preset", "tiny", "--out", "OUT"], "nowhere"),
        (["fit", "DATA", "--labels", "none", "--out", "OUT"], "--labels takes a number"),
        (["reproduce", "DATA", "--labels", "5,none", "--out", "OUT"], "--labels takes numbers above 0 or 'all'"),
        (["reproduce", "DATA", "--labels", "0", "--out", "OUT"], "--labels takes numbers above 0 or 'all'"),
        (["fit", "DATA", "--preset", "tiny", "--device", "tpu", "--out", "OUT"], "device 'tpu' is not available"),
        (["predict", "nowhere", "DATA", "--out", "OUT"], "nowhere: there is no such file or folder"),
        (["predict", "liver-ct-lite", "--out", "OUT"], "name a scan, or several, after the model"),
        (["evaluate", "DATA", "DATA", "--out", "OUT"], "holds no model"),
        (["prepare", "DATA", "--out", "OUT"], "let it end in .h5"),
        (["info", "nowhere"], "nowhere"),
        (["weights", "fetch", "nothing"], "nothing"),
        (["no-such-verb"], "No such command"),
    ],
)
def test_bad_usage_is_one_line_and_exit_code_2(
    arguments: list[str],
    message: str,
    hospital_a: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    places = {"DATA": str(hospital_a), "OUT": str(tmp_path / "out"), "nowhere": str(tmp_path / "nowhere")}
    assert run([places.get(word, word) for word in arguments], monkeypatch) == 2
    shown = capsys.readouterr()
    assert message in shown.err
    assert "Traceback" not in shown.err
    assert not (tmp_path / "out").exists()


def test_info_tells_what_a_path_is(
    hospital_a: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["info", str(hospital_a)], monkeypatch) == 0
    assert "6 cases of 6 patients" in capsys.readouterr().out
    assert run(["info", str(hospital_a / "volume-0.nii")], monkeypatch) == 0
    assert "72 × 72 × 12 voxels" in capsys.readouterr().out


def test_info_models_counts_as_published(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["info", "models"], monkeypatch) == 0
    shown = capsys.readouterr().out
    assert "105.08" in shown
    assert "294,912" in shown


def test_ctrl_c_is_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted(*_: object) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr("sammix.data.description.describe_path", interrupted)
    assert run(["info", "scan.nii"], monkeypatch) == 130
    assert capsys.readouterr().err == "interrupted; what was finished is whole\n"
