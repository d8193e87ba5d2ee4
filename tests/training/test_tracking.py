from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from sammix.config import load_preset
from sammix.errors import MissingExtraError
from sammix.training import trainer
from sammix.training.fitting import FitRequest, Hardware, fit
from sammix.training.run_folder import RunFolder

ASKED = FitRequest(load_preset("tiny", ["fit.tensorboard=true"]), labels=4, seed=0)


def written(run: Path) -> list[tuple[str, int, float]]:
    """What TensorBoard shows of a run, by its own reader: name, epoch, value."""
    board = EventAccumulator(str(run / "tensorboard")).Reload()
    found = [(name, one.step, one.value) for name in board.Tags()["scalars"] for one in board.Scalars(name)]
    return sorted(found)


def logged(run: Path) -> list[tuple[str, int, float]]:
    lines: list[dict[str, Any]] = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    values = [
        (name, line["epoch"], value) for line in lines for name, value in line.items() if name not in ("time", "epoch")
    ]
    return sorted((name, epoch, float(value)) for name, epoch, value in values if value is not None)


def agree(run: Path) -> bool:
    ours, theirs = logged(run), written(run)
    same_names = [one[:2] for one in ours] == [one[:2] for one in theirs]
    return same_names and [one[2] for one in theirs] == pytest.approx([one[2] for one in ours], rel=1e-6, abs=1e-9)


def test_tensorboard_reads_what_the_log_holds_also_of_a_resumed_run(
    hospital_a: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed when the second epoch is logged, before its checkpoint: a resumed run logs that epoch again."""
    run, kept = tmp_path / "run", RunFolder.save_checkpoint

    def save(self: RunFolder, state: dict[str, Any]) -> None:
        if state["epoch"] == 2:
            raise KeyboardInterrupt
        kept(self, state)

    with monkeypatch.context() as patch:
        patch.setattr(trainer.RunFolder, "save_checkpoint", save)
        with pytest.raises(KeyboardInterrupt):
            fit(hospital_a, RunFolder(run), ASKED, Hardware("cpu"))
    assert agree(run)
    fit(hospital_a, RunFolder(run), FitRequest(), Hardware("cpu"), resume=True)
    assert {epoch for _, epoch, _ in written(run)} == {1, 2}
    assert {"loss", "val_dice", "best", "learning_rate"} <= {name for name, _, _ in written(run)}
    assert agree(run)


def test_without_the_extra_nothing_is_begun(hospital_a: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "torch.utils.tensorboard", raising=False)
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    with pytest.raises(MissingExtraError, match=r'fit.tensorboard needs .*; pip install "sammix\[tracking\]"'):
        fit(hospital_a, RunFolder(tmp_path / "run"), ASKED, Hardware("cpu"))
    assert not (tmp_path / "run").exists()


def test_unasked_there_is_no_event_file(tiny_run: Path) -> None:
    assert not (tiny_run / "tensorboard").exists()
