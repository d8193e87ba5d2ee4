"""Two real processes on the CPU (gloo) against one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from sammix.config import load_preset
from sammix.networks.objectives import Term, weighted_sum
from sammix.training.fitting import FitRequest, Hardware, fit
from sammix.training.parallel import average_gradients, shared_loss
from sammix.training.run_folder import RunFolder

SAME = ("fit.epochs=1", "fit.true_box_share=0", "fit.misled_share=0", "fit.warmup_steps=0", "fit.precision=32-true")
"""No chance that depends on the process, no rounding: what is left must be equal."""

PROGRAM = """
import torch
torch.set_num_threads(1)
for kind in (torch.nn.Dropout, torch.nn.Dropout2d):
    kind.forward = lambda self, x: x
from sammix.cli import main
main()
"""
"""Without dropout, which draws its chances in the order of a process's own slices: one and two cannot draw alike."""


def in_two(data: Path, out: Path, preset: str, labels: str, *settings: str) -> Path:
    script = out.with_suffix(".py")
    script.write_text(PROGRAM)
    command = ["fit", str(data), "--preset", preset, "--labels", labels, "--device", "cpu", "--devices", "2"]
    command += ["--out", str(out), *(word for setting in settings for word in ("--set", setting))]
    done = subprocess.run(
        [sys.executable, str(script), *command],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        env={**os.environ, "MASTER_PORT": str(20_000 + os.getpid() % 10_000)},
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [str(out / "model")], "said once"
    return out


@pytest.fixture
def in_one(monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    for kind in (torch.nn.Dropout, torch.nn.Dropout2d):
        monkeypatch.setattr(kind, "forward", lambda self, x: x)

    def run(data: Path, out: Path, preset: str, labels: str, *settings: str) -> Path:
        asked = FitRequest(load_preset(preset, settings), "all" if labels == "all" else int(labels))
        fit(data, RunFolder(out), asked, Hardware("cpu"))
        return out

    return run


def assert_alike(one: Path, two: Path) -> None:
    """AdamW moves a weight whose gradient is next to nothing by its rate, to whichever side rounding points: a few.

    Instance norm undoes a bias before it, so the gradients of such biases are nothing but rounding.
    """
    first, second = (load_file(run / "model" / "model.safetensors") for run in (one, two))
    assert first.keys() == second.keys()
    for name, value in first.items():
        if name.startswith("network.") and name.endswith(".bias"):
            continue
        apart = (value.double() - second[name].double()).abs()
        assert apart.max() < 5e-3, name
        assert (apart > 1e-4 + 2e-3 * value.abs()).double().mean() < 5e-3, name
    logs = [json.loads((run / "log.jsonl").read_text().splitlines()[0]) for run in (one, two)]
    assert logs[0].keys() == logs[1].keys()
    for name in {"loss", "focal", "map_entropy", "map_dice", "mask"} & logs[0].keys():
        assert logs[1][name] == pytest.approx(logs[0][name], rel=1e-3), "what is logged is of the whole batch"


def test_sam_mix_learns_the_same_in_two_processes(hospital_a: Path, tmp_path: Path, in_one) -> None:  # type: ignore[no-untyped-def]
    """Shuffled, a process's share of a batch often holds no mask, while the other's does."""
    settings = (*SAME, "fit.sampling=shuffled", "fit.decoded=30", "fit.augment=true", "fit.views=4")
    one, two = (run(hospital_a, tmp_path / run.__name__, "tiny", "4", *settings) for run in (in_one, in_two))
    assert_alike(one, two)


def test_of_two_streams_both_decode_the_masks_that_one_does(hospital_a: Path, tmp_path: Path, in_one) -> None:  # type: ignore[no-untyped-def]
    settings = (*SAME, "fit.mask_batch_size=4", "fit.decoded=2")
    one, two = (run(hospital_a, tmp_path / run.__name__, "tiny", "4", *settings) for run in (in_one, in_two))
    assert_alike(one, two)


def test_sam_pp_does_not_wait_for_a_mask_that_a_process_does_not_have(
    hospital_a: Path,
    tmp_path: Path,
    in_one,  # type: ignore[no-untyped-def]
) -> None:
    """Its second stage learns from masks alone; with one annotated slice, one of two processes never has any."""
    settings = (*SAME[1:], "data.size=64", "model.encoder=tiny", "fit.epochs=2", "fit.classifier_epochs=1")
    settings += ("fit.batch_size=20", "fit.sampling=shuffled", "fit.views=1")
    one, two = (run(hospital_a, tmp_path / run.__name__, "sam-pp", "1", *settings) for run in (in_one, in_two))
    assert_alike(one, two)


def test_dice_over_the_batch_is_of_both_processes_slices(hospital_a: Path, tmp_path: Path, in_one) -> None:  # type: ignore[no-untyped-def]
    """Where slices differ in size, the mean of two processes' Dice would not be the whole batch's."""
    settings = (*SAME, "data.size=32", "model.width=0.25", "fit.restart_epochs=1")
    one = in_one(hospital_a, tmp_path / "one", "unet", "all", *settings, "fit.batch_size=24")
    two = in_two(hospital_a, tmp_path / "two", "unet", "all", *settings, "fit.batch_size=24")
    assert_alike(one, two)


def test_terms_that_nobody_knows_are_left_out() -> None:
    weight = torch.tensor(2.0, requires_grad=True)
    terms = {"known": Term(3 * weight, 5, 0.5), "unknown": Term(torch.tensor(0.0), 0, 1.0)}
    loss, whole = shared_loss(terms, 1)
    assert loss.item() == pytest.approx(3.0)
    assert weighted_sum(terms).item() == pytest.approx(3.0)
    assert list(whole) == ["known"]
    assert (whole["known"].mean.item(), whole["known"].count) == (6.0, 5)
    loss.backward()
    assert weight.grad is not None
    assert weight.grad.item() == pytest.approx(1.5)


def test_one_process_keeps_its_gradients() -> None:
    known, unknown = (torch.nn.Parameter(torch.ones(2)) for _ in range(2))
    known.grad = torch.tensor([1.0, 2.0])
    average_gradients([known, unknown], 1)
    assert known.grad.tolist() == [1.0, 2.0]
    assert unknown.grad is None
