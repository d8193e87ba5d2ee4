from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric

from sammix.config import load_preset
from sammix.data.loading import load_table
from sammix.data.splits import with_splits
from sammix.errors import InputError, SammixError
from sammix.models.card import read_card
from sammix.models.registry import build_model
from sammix.training.fitting import FitRequest, Hardware, fit
from sammix.training.run_folder import CHECKPOINT, PREVIOUS, RunFolder
from sammix.training.sources import FitData
from sammix.training.trainer import Trainer, with_share_of_masks

Log = Callable[[Path], list[dict[str, object]]]
SameWeights = Callable[[Path, Path], bool]
Interrupted = Callable[..., AbstractContextManager[None]]


def trainer(hospital: Path, tiny_run: Path, out: Path, *settings: str, precision: str = "32-true") -> Trainer:
    config = load_preset("tiny", ["fit.epochs=1", *settings])
    table = with_splits(load_table(hospital, config.data), 0.15, 0.2, 0)
    annotated = np.flatnonzero(table.annotated & (table.split == "train"))[:4]
    data = FitData(table, annotated, table.rows("train"), table.rows("val"))
    torch.manual_seed(0)
    network, _ = build_model(config, table.preprocess)
    out.mkdir()
    fabric = Fabric(accelerator="cpu", devices=1, precision=precision)  # type: ignore[arg-type]
    fabric.launch()
    return Trainer(fabric, network, data, RunFolder(out), read_card(tiny_run).model_copy(update={"config": config}))


def test_it_leaves_a_model_a_log_and_a_checkpoint_and_no_cache(
    hospital_a: Path, tiny_run: Path, tmp_path: Path
) -> None:
    model = trainer(hospital_a, tiny_run, tmp_path / "run").train()
    assert model == tmp_path / "run" / "model"
    assert {path.name for path in (tmp_path / "run").iterdir()} == {"model", "log.jsonl", "checkpoint.pt"}
    (line,) = (tmp_path / "run" / "log.jsonl").read_text().splitlines()
    record = json.loads(line)
    parts = record["focal"] + 0.5 * (record["map_entropy"] + record["map_dice"] + record["mask"])
    assert record["loss"] == pytest.approx(parts, rel=1e-5)
    assert record["best"] is True


def test_a_loss_that_is_no_number_ends_the_fit(hospital_a: Path, tiny_run: Path, tmp_path: Path) -> None:
    built = trainer(hospital_a, tiny_run, tmp_path / "run", "fit.learning_rate=1e30", "fit.warmup_steps=0")
    with pytest.raises(SammixError, match=r"no longer a number in epoch 1; lower fit\.learning_rate"):
        built.train()


def test_the_start_of_a_run_is_a_checkpoint_of_its_own(hospital_a: Path, tiny_run: Path, tmp_path: Path) -> None:
    """Then nothing else is needed to go on before the first epoch has ended."""
    first = trainer(hospital_a, tiny_run, tmp_path / "run")
    with torch.no_grad():
        for parameter in first.network.parameters():
            parameter += parameter.requires_grad * 0.5
    first.keep_start()
    second = trainer(hospital_a, tiny_run, tmp_path / "other")
    second.run = RunFolder(tmp_path / "run")
    assert second._restore() == (1, None)
    for one, other in zip(first.network.parameters(), second.network.parameters(), strict=True):
        assert torch.equal(one, other)


def test_the_scaler_of_16_bit_gradients_is_in_the_checkpoint(hospital_a: Path, tiny_run: Path, tmp_path: Path) -> None:
    built = trainer(hospital_a, tiny_run, tmp_path / "run")
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    built.fabric.strategy.precision.state_dict = scaler.state_dict  # type: ignore[method-assign]
    built.keep_start()
    state = RunFolder(tmp_path / "run").load_checkpoint()
    assert state is not None
    assert state["scaler"]["scale"] == 1024.0
    restored: dict[str, object] = {}
    built.fabric.strategy.precision.load_state_dict = restored.update  # type: ignore[method-assign]
    built._restore()
    assert restored["scale"] == 1024.0


def test_a_killed_run_resumes_to_the_same_end(
    hospital_a: Path, tiny_run: Path, tmp_path: Path, log: Log, same_weights: SameWeights
) -> None:
    """A real process, killed as soon as its first epoch is on disk."""
    run = tmp_path / "killed"
    code = "import torch; torch.set_num_threads(1); from sammix.cli import main; main()"
    asked = ["fit", str(hospital_a), "--preset", "tiny", "--labels", "4", "--device", "cpu", "--out", str(run)]
    process = subprocess.Popen(
        [sys.executable, "-c", code, *asked], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    )
    while process.poll() is None and not (run / "checkpoint.pt").exists():
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert len(log(run)) == 1
    fit(hospital_a, RunFolder(run), FitRequest(load_preset("tiny")), Hardware("cpu"), resume=True)
    assert log(run) == log(tiny_run)
    assert same_weights(run, tiny_run)


def test_resuming_a_finished_run_changes_nothing(
    hospital_a: Path,
    tiny_run: Path,
    caplog: pytest.LogCaptureFixture,
    log: Log,
    same_weights: SameWeights,
    copied_run: Path,
) -> None:
    caplog.set_level("INFO")
    fit(hospital_a, RunFolder(copied_run), FitRequest(load_preset("tiny")), Hardware("cpu"), resume=True)
    assert "finished already" in caplog.text
    assert log(copied_run) == log(tiny_run)
    assert same_weights(copied_run, tiny_run)


def test_dropout_too_is_the_same_after_resuming(
    hospital_a: Path, tmp_path: Path, log: Log, same_weights: SameWeights, interrupted: Interrupted
) -> None:
    config = load_preset("tiny", ["model.classifier=resnet38", "model.classifier_width=0.02"])
    whole = fit(hospital_a, RunFolder(tmp_path / "whole"), FitRequest(config, labels=4), Hardware("cpu")).parent
    with interrupted(RunFolder, "log"):
        fit(hospital_a, RunFolder(tmp_path / "cut"), FitRequest(config, labels=4), Hardware("cpu"))
    fit(hospital_a, RunFolder(tmp_path / "cut"), FitRequest(config), Hardware("cpu"), resume=True)
    assert log(tmp_path / "cut") == log(whole)
    with interrupted(RunFolder, "save_checkpoint", after=1):
        fit(hospital_a, RunFolder(tmp_path / "cut-later"), FitRequest(config, labels=4), Hardware("cpu"))
    fit(hospital_a, RunFolder(tmp_path / "cut-later"), FitRequest(config), Hardware("cpu"), resume=True)
    assert log(tmp_path / "cut-later") == log(whole)
    assert same_weights(tmp_path / "cut-later", whole)


def test_another_networks_checkpoint_is_named(hospital_a: Path, copied_run: Path) -> None:
    (copied_run / PREVIOUS).unlink()
    state = RunFolder(copied_run).load_checkpoint() or {}
    torch.save({**state, "epoch": 1, "model": {"other": torch.zeros(2)}}, copied_run / CHECKPOINT)
    with pytest.raises(InputError, match="of another network"):
        fit(hospital_a, RunFolder(copied_run), FitRequest(load_preset("tiny")), Hardware("cpu"), resume=True)


def test_a_run_goes_on_from_the_checkpoint_before_a_damaged_one(
    hospital_a: Path, tiny_run: Path, log: Log, same_weights: SameWeights, copied_run: Path
) -> None:
    (copied_run / CHECKPOINT).write_bytes((copied_run / CHECKPOINT).read_bytes()[:-100])
    fit(hospital_a, RunFolder(copied_run), FitRequest(load_preset("tiny")), Hardware("cpu"), resume=True)
    assert log(copied_run) == log(tiny_run)
    assert same_weights(copied_run, tiny_run)


def test_what_a_kill_left_behind_is_cleared(hospital_a: Path, tiny_run: Path, copied_run: Path) -> None:
    """Killed while the model was written, and again after the last epoch, before its cache was removed."""
    (copied_run / "model" / ".0123abcd.model.safetensors").touch()
    (copied_run / ".0123abcd.checkpoint.pt").touch()
    (copied_run / "cache").mkdir()
    fit(hospital_a, RunFolder(copied_run), FitRequest(load_preset("tiny")), Hardware("cpu"), resume=True)
    names = [{path.relative_to(run) for path in run.rglob("*")} for run in (copied_run, tiny_run)]
    assert names[0] == names[1]


def test_a_cut_fit_from_a_model_that_has_moved_resumes(
    hospital_b: Path,
    tiny_run: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    log: Log,
    same_weights: SameWeights,
    interrupted: Interrupted,
) -> None:
    """Its weights, and whom it knew, are in the run's own folder; it is resumed from another working directory."""
    start = shutil.copytree(tiny_run, tmp_path / "start")
    asked = FitRequest(load_preset("tiny"), labels=2, start=start)
    whole = fit(hospital_b, RunFolder(tmp_path / "whole"), asked, Hardware("cpu")).parent
    with interrupted(RunFolder, "log"):
        fit(hospital_b, RunFolder(tmp_path / "cut"), asked, Hardware("cpu"))
    start.rename(tmp_path / "elsewhere")
    monkeypatch.chdir(tmp_path / "elsewhere")
    fit(hospital_b, RunFolder(tmp_path / "cut"), FitRequest(), Hardware("cpu"), resume=True)
    assert log(tmp_path / "cut") == log(whole)
    assert same_weights(tmp_path / "cut", whole)
    known = read_card(tmp_path / "cut").lineage
    assert known == read_card(whole).lineage
    assert {patient.name for patient in read_card(tiny_run).lineage.patients} < {one.name for one in known.patients}


def test_a_finished_run_says_how_to_go_on(hospital_a: Path, caplog: pytest.LogCaptureFixture, copied_run: Path) -> None:
    caplog.set_level("INFO")
    run = RunFolder(copied_run)
    fit(hospital_a, run, FitRequest(), Hardware("cpu"), resume=True)
    assert f"begin another run with --from {run.path}" in caplog.text


def test_with_nothing_to_validate_on_the_last_epoch_is_kept_and_it_says_so(
    hospital_a: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    config = load_preset("tiny", ["data.val_fraction=0"])
    model = fit(hospital_a, RunFolder(tmp_path / "run"), FitRequest(config, labels=4), Hardware("cpu"))
    assert "best so far" not in caplog.text
    assert caplog.text.count("(kept; nothing to validate on)") == 2
    assert read_card(model).metrics["chosen_by"] == "last epoch"


def test_more_processes_that_make_batches_change_nothing(
    hospital_a: Path, tiny_run: Path, tmp_path: Path, log: Log, same_weights: SameWeights
) -> None:
    config = load_preset("tiny", ["fit.workers=2"])
    fit(hospital_a, RunFolder(tmp_path / "run"), FitRequest(config, labels=4), Hardware("cpu"))
    assert log(tmp_path / "run") == log(tiny_run)
    assert same_weights(tmp_path / "run", tiny_run)


@pytest.mark.parametrize(("decoded", "world"), [(4, 1), (4, 2), (5, 3), (2, 4)])
def test_processes_together_decode_as_many_masks_as_one(decoded: int, world: int) -> None:
    config = load_preset("tiny", [f"fit.decoded={decoded}"])
    shares = [with_share_of_masks(config, rank, world).fit.decoded for rank in range(world)]
    assert sum(shares) == decoded
    assert max(shares) - min(shares) <= 1
