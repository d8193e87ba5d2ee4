from __future__ import annotations

import json
import pickle
import re
import resource
from pathlib import Path

import pytest
import torch

from sammix.config import load_preset
from sammix.errors import InputError, OutputError
from sammix.training.run_folder import CHECKPOINT, PREVIOUS, RunFolder, RunSettings

STATE = dict.fromkeys(("best", "model", "optimizer", "scheduler", "scaler"), 0)


def saved(run: Path, *epochs: int) -> RunFolder:
    for epoch in epochs:
        RunFolder(run).save_checkpoint({"epoch": epoch, **STATE})
    return RunFolder(run)


def epoch_of(run: RunFolder) -> object:
    return (run.load_checkpoint() or {}).get("epoch")


@pytest.mark.parametrize("damage", ["cut", "a flipped bit", "a pickle", "another program's", "gone"])
def test_a_damaged_checkpoint_gives_way_to_the_one_before(
    tmp_path: Path, damage: str, evil: object, caplog: pytest.LogCaptureFixture
) -> None:
    run, path = saved(tmp_path, 1, 2), tmp_path / CHECKPOINT
    content = bytearray(path.read_bytes())
    match damage:
        case "cut":
            path.write_bytes(content[:-30])
        case "a flipped bit":
            content[content.index(b"scheduler")] ^= 1
            path.write_bytes(content)
        case "a pickle":
            path.write_bytes(pickle.dumps(evil))
        case "another program's":
            torch.save({"weights": torch.zeros(3)}, path)
        case "gone":  # killed between the two renames
            path.unlink()
    assert epoch_of(run) == 1
    assert "the epoch before it is taken" in caplog.text
    assert {file.name for file in tmp_path.iterdir()} == {CHECKPOINT}
    assert epoch_of(run) == 1


def test_with_no_other_checkpoint_a_damaged_one_is_named_and_left(tmp_path: Path, evil: object) -> None:
    assert saved(tmp_path).load_checkpoint() is None
    torch.save(evil, tmp_path / CHECKPOINT)
    content = (tmp_path / CHECKPOINT).read_bytes()
    for name in (CHECKPOINT, PREVIOUS):
        with pytest.raises(InputError, match=f"{name}: cannot be read as a checkpoint; remove it"):
            RunFolder(tmp_path).load_checkpoint()
        assert (tmp_path / CHECKPOINT).read_bytes() == content
        (tmp_path / PREVIOUS).write_bytes(b"damaged too")


def test_a_full_disk_leaves_the_last_checkpoint(tmp_path: Path) -> None:
    run = saved(tmp_path, 1)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, hard))
    try:
        with pytest.raises(OutputError, match="cannot be written"):
            run.save_checkpoint({"epoch": 2, **STATE, "model": torch.zeros(100_000)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert epoch_of(run) == 1
    assert {path.name for path in tmp_path.iterdir()} == {CHECKPOINT}


def test_half_a_line_of_a_log_is_dropped(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    run.log(epoch=1)
    run.log(epoch=2)
    with open(tmp_path / "log.jsonl", "a") as file:
        file.write('{"time": "20')
    run.rewind_log(1)
    assert [json.loads(line)["epoch"] for line in (tmp_path / "log.jsonl").read_text().splitlines()] == [1]
    run.rewind_log(0)  # killed between the first epoch's line and its checkpoint
    assert (tmp_path / "log.jsonl").read_text() == ""


def test_settings_come_back_as_they_were(tmp_path: Path) -> None:
    settings = RunSettings(config=load_preset("tiny"), seed=3, labels=None, start=Path("liver-ct-lite"))
    RunFolder(tmp_path).write(settings)
    assert RunFolder(tmp_path).settings() == settings


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"seed": "x"}, "its key seed has a value that does not fit in this version"),
        ({"config": {}}, "its key config.preset is missing in this version"),
        ({"config": {"preset": "tiny", "fit": {"speed": 1}}}, "its key config.fit.speed is not known in this version"),
        ({"format": "sammix-run-9"}, "has the format 'sammix-run-9', where this version of sammix reads sammix-run-2"),
        (None, "is damaged; start a new run"),
    ],
)
def test_settings_that_do_not_fit_are_named(tmp_path: Path, change: dict[str, object] | None, told: str) -> None:
    path = tmp_path / "config.json"
    RunFolder(tmp_path).write(RunSettings(config=load_preset("tiny"), seed=3, labels=4))
    path.write_text(json.dumps(json.loads(path.read_text()) | change) if change else "[" * 100_000)
    with pytest.raises(InputError, match=rf"config\.json: .*{re.escape(told)}"):
        RunFolder(tmp_path).settings()


def test_a_run_of_the_first_format_is_named(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    RunFolder(tmp_path).write(RunSettings(config=load_preset("tiny"), seed=3, labels=4))
    path.write_text(json.dumps({k: v for k, v in json.loads(path.read_text()).items() if k != "format"}))
    with pytest.raises(InputError, match="has the format 'sammix-run-1'"):
        RunFolder(tmp_path).settings()
