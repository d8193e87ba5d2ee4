from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric

from sammix.config import load_preset
from sammix.data.loading import load_table
from sammix.data.splits import with_splits
from sammix.errors import SammixError
from sammix.models.card import read_card
from sammix.models.registry import build_model
from sammix.training.run_folder import RunFolder
from sammix.training.sources import FitData
from sammix.training.trainer import Trainer


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
    fit = trainer(hospital_a, tiny_run, tmp_path / "run", "fit.learning_rate=1e30", "fit.warmup_steps=0")
    with pytest.raises(SammixError, match=r"no longer a number in epoch 1; lower fit\.learning_rate"):
        fit.train()


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
    fit = trainer(hospital_a, tiny_run, tmp_path / "run")
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    fit.fabric.strategy.precision.state_dict = scaler.state_dict  # type: ignore[method-assign]
    fit.keep_start()
    state = RunFolder(tmp_path / "run").load_checkpoint()
    assert state is not None
    assert state["scaler"]["scale"] == 1024.0
    restored: dict[str, object] = {}
    fit.fabric.strategy.precision.load_state_dict = restored.update  # type: ignore[method-assign]
    fit._restore()
    assert restored["scale"] == 1024.0
