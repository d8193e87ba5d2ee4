from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

import sammix
from sammix.config import load_preset
from sammix.errors import ConfigError, SammixError
from sammix.training.fitting import FitRequest, Hardware
from sammix.training.fitting import fit as fit_folder
from sammix.training.run_folder import RunFolder

ONE_EPOCH = {"fit": {"epochs": 1}}


def weights(run: sammix.Run) -> dict[str, torch.Tensor]:
    return load_file(run.path / "model" / "model.safetensors")


def test_it_is_the_fit_of_the_command_line(hospital_a: Path, tmp_path: Path) -> None:
    run = sammix.fit(
        str(hospital_a), preset="tiny", labels=3, seed=1, out=str(tmp_path / "a"), settings=ONE_EPOCH, device="cpu"
    )
    asked = FitRequest(load_preset("tiny", ["fit.epochs=1"]), 3, 1)
    fit_folder(hospital_a, RunFolder(tmp_path / "b"), asked, Hardware("cpu"))
    own, other = weights(run), weights(sammix.Run(tmp_path / "b"))
    assert own.keys() == other.keys()
    assert all(torch.equal(own[name], other[name]) for name in own)
    assert run.path == tmp_path / "a"
    assert (run.settings.seed, run.settings.labels, run.settings.config.fit.epochs) == (1, 3, 1)


def test_a_student_is_that_of_the_command_line(hospital_a: Path, tmp_path: Path, run: sammix.Run) -> None:
    settings = {"fit.epochs": 1, "model.width": 0.25}
    student = sammix.distill(run, [hospital_a], out=tmp_path / "a", settings=settings, device="cpu")
    lines = [f"{name}={value}" for name, value in settings.items()]
    asked = FitRequest(load_preset("student", lines), 0, teacher=run.path)
    fit_folder(hospital_a, RunFolder(tmp_path / "b"), asked, Hardware("cpu"))
    own, other = weights(student), weights(sammix.Run(tmp_path / "b"))
    assert all(torch.equal(own[name], other[name]) for name in own)
    assert student.model.name == "tiny-4-student"
    with pytest.raises(sammix.SammixError, match="names no folder"):
        sammix.distill(run, [], out=tmp_path / "c")


def test_a_run_tells_how_it_went(run: sammix.Run) -> None:
    assert [line["epoch"] for line in run.log] == [1, 2]
    assert all(line["loss"] > 0 for line in run.log)
    assert run.metrics["epoch"] in (1, 2)
    assert run.model is run.model
    assert (run.model.name, run.model.device) == ("tiny-4", "cpu")
    assert repr(run) == f"Run({str(run.path)!r}: preset tiny, 4 annotated slices, seed 0, 2 of 2 epochs)"
    assert (run._repr_png_() or b"").startswith(b"\x89PNG")


@pytest.mark.parametrize(("labels", "told"), [("all", "all annotated slices"), (0, "0 annotated slices")])
def test_all_annotated_slices_or_none(hospital_a: Path, tmp_path: Path, labels: Any, told: str) -> None:
    run = sammix.fit(hospital_a, preset="tiny", labels=labels, out=tmp_path / "run", settings=ONE_EPOCH, device="cpu")
    assert told in repr(run)
    annotated = run.model.card.data["drawn"]
    assert bool(annotated) == (labels == "all")


def test_without_out_a_new_folder_is_made(hospital_a: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    first, second = (
        sammix.fit(hospital_a, preset="tiny", labels=2, settings=ONE_EPOCH, device="cpu") for _ in range(2)
    )
    assert (first.path, second.path) == (Path("runs/tiny-2-seed0"), Path("runs/tiny-2-seed0-2"))
    assert first.model.name == second.model.name


def test_a_folder_that_holds_something_is_refused(hospital_a: Path, run: sammix.Run) -> None:
    with pytest.raises(SammixError, match=r"exists already and is not empty; .* resume=True"):
        sammix.fit(hospital_a, preset="tiny", out=run.path, device="cpu")


def test_a_run_is_resumed_with_its_own_settings(
    hospital_a: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(self: RunFolder, **values: object) -> None:
        raise KeyboardInterrupt

    arguments: dict[str, Any] = {"preset": "tiny", "labels": 3, "seed": 2, "settings": ONE_EPOCH, "device": "cpu"}
    whole = sammix.fit(hospital_a, out=tmp_path / "whole", **arguments)
    with monkeypatch.context() as patch:
        patch.setattr(RunFolder, "log", interrupt)
        with pytest.raises(KeyboardInterrupt):
            sammix.fit(hospital_a, out=tmp_path / "cut", **arguments)
    begun = sammix.Run(tmp_path / "cut")
    assert begun.log == []
    (begun.path / "log.jsonl").write_text('{"epoch": 1}\n{"epo')
    assert begun.log == [{"epoch": 1}], "a line that was cut is no epoch"
    (begun.path / "log.jsonl").unlink()
    assert begun._repr_png_() is None
    resumed = sammix.fit(hospital_a, out=tmp_path / "cut", resume=True, device="cpu")
    assert all(torch.equal(value, weights(resumed)[name]) for name, value in weights(whole).items())
    with pytest.raises(SammixError, match="seed"):
        sammix.fit(hospital_a, out=tmp_path / "cut", resume=True, seed=3, device="cpu")


def test_it_goes_on_from_a_model(hospital_a: Path, tmp_path: Path, run: sammix.Run) -> None:
    on = sammix.fit(
        hospital_a, preset="tiny", labels=2, out=tmp_path / "on", start=run, settings=ONE_EPOCH, device="cpu"
    )
    assert on.settings.start is not None
    assert on.settings.start.is_relative_to(run.path)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"preset": "huge"}, "no preset is called 'huge'; there are: lite"),
        ({"settings": {"fit.epoch": 3}}, "no setting is called 'fit.epoch'; did you mean 'fit.epochs'?"),
        ({"settings": {"fit": {"epochs": "many"}}}, "setting fit.epochs must be a whole number, at least 1"),
        ({"settings": ["fit.epochs=3"]}, "settings must be a dictionary, such as {'fit.epochs': 3}"),
        ({"labels": "some"}, "labels must be a whole number, at least 0, or 'all', not 'some'"),
        ({"labels": -1}, "labels must be a whole number, at least 0, or 'all', not -1"),
        ({"labels": 2.5}, "labels must be a whole number, at least 0, or 'all', not 2.5"),
        ({"seed": -1}, "seed must be a whole number, at least 0, not -1"),
        ({"resume": True, "out": None}, "resume=True continues the run in a folder: name it with out="),
        ({"resume": True, "settings": {"fit.epochs": 3}}, "does not go with resume=True"),
        ({"data": None}, "data must be a path (a string or pathlib.Path), not NoneType"),
        ({"out": 3}, "out must be a path"),
        ({"start": "nowhere"}, "nowhere: does not exist"),
        ({"device": "tpu"}, "device 'tpu' is not available"),
        ({"data": "nowhere"}, "nowhere: there is no such file or folder"),
    ],
)
def test_what_cannot_be_is_refused_in_plain_words(
    hospital_a: Path, tmp_path: Path, arguments: dict[str, Any], told: str
) -> None:
    asked: dict[str, Any] = {"data": hospital_a, "preset": "tiny", "out": tmp_path / "run", "device": "cpu"}
    with pytest.raises(SammixError) as error:
        sammix.fit(**asked | arguments)
    assert told in str(error.value)
    assert "pydantic" not in str(error.value)
    assert not (tmp_path / "run").exists() or not list((tmp_path / "run").iterdir())


def test_what_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SammixError, match="is not a run's folder"):
        sammix.Run(tmp_path)
    with pytest.raises(ConfigError, match="path must be a path"):
        sammix.Run(3)  # type: ignore[arg-type]
