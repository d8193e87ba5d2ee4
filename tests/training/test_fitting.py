from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from filelock import FileLock
from PIL import Image
from safetensors.torch import load_file

from sammix.config import load_preset
from sammix.data.preparing import prepare
from sammix.errors import ConfigError, InputError, OutputError, SammixError
from sammix.files import LOCK
from sammix.models.card import read_card
from sammix.models.devices import bfloat16_pays
from sammix.training import fitting
from sammix.training.fitting import FitRequest, Hardware, fit
from sammix.training.run_folder import CHECKPOINT, PREVIOUS, RunFolder

Log = Callable[[Path], list[dict[str, object]]]
SameWeights = Callable[[Path, Path], bool]
Interrupted = Callable[..., AbstractContextManager[None]]


def test_a_run_holds_what_is_needed_to_repeat_it(tiny_run: Path, log: Log) -> None:
    record = json.loads((tiny_run / "config.json").read_text())
    assert record["seed"] == 0
    assert record["labels"] == 4
    assert record["versions"]["torch"]
    assert len(record["data"]["fingerprint"]) == 64
    assert len(record["data"]["drawn"]) == 4
    assert [line["epoch"] for line in log(tiny_run)] == [1, 2]
    assert not (tiny_run / "cache").exists()


def test_annotated_slices_are_training_positives_and_patients_do_not_cross_splits(tiny_run: Path) -> None:
    data = json.loads((tiny_run / "config.json").read_text())["data"]
    assert set(data["splits"].values()) == {"train", "val", "test"}
    assert all(data["splits"][one["case"]] == "train" for one in data["drawn"])


def test_the_same_command_gives_the_same_model(
    hospital_a: Path, tiny_run: Path, tmp_path: Path, log: Log, same_weights: SameWeights
) -> None:
    fit(hospital_a, RunFolder(tmp_path / "again"), FitRequest(load_preset("tiny"), labels=4, seed=0), Hardware("cpu"))
    assert log(tmp_path / "again") == log(tiny_run)
    assert same_weights(tmp_path / "again", tiny_run)


def test_a_store_gives_the_same_model_as_the_scans(
    hospital_a: Path, tiny_run: Path, tmp_path: Path, same_weights: SameWeights
) -> None:
    config = load_preset("tiny")
    prepare(hospital_a, tmp_path / "a.h5", config.data)
    fit(tmp_path / "a.h5", RunFolder(tmp_path / "run"), FitRequest(config, labels=4, seed=0), Hardware("cpu"))
    assert same_weights(tmp_path / "run", tiny_run)


@pytest.mark.parametrize(
    "setting", ["fit.cache=false", "fit.views=2", "model.classifier=resnet38", "model.box=each", "fit.map_weight=0"]
)
def test_other_ways_to_train_run_through(hospital_a: Path, tmp_path: Path, setting: str) -> None:
    narrow = ["fit.epochs=1", "fit.sampling=shuffled", "fit.augment=true"]
    if "resnet38" in setting:
        narrow.append("model.classifier_width=0.02")
    overrides = [*narrow, setting]
    model = fit(
        hospital_a, RunFolder(tmp_path / "run"), FitRequest(load_preset("tiny", overrides), labels=4), Hardware("cpu")
    )
    assert (model / "model.safetensors").stat().st_size > 0


def test_sam_mix_without_an_annotated_slice_is_told_of_a_better_way(
    hospital_a: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    fit(
        hospital_a,
        RunFolder(tmp_path / "run"),
        FitRequest(load_preset("tiny", ["fit.epochs=1"]), labels=0),
        Hardware("cpu"),
    )
    assert "--preset sam-pp has a better one" in caplog.text


def test_a_fit_goes_on_from_a_trained_model(hospital_b: Path, tiny_run: Path, tmp_path: Path) -> None:
    """The network is the old one's, and with a rate of nearly nothing it still knows what the old one knew."""
    config = load_preset("tiny", ["fit.epochs=1", "fit.learning_rate=1e-12", "fit.classifier_learning_rate=1e-12"])
    other_network = config.model_copy(update={"model": config.model.model_copy(update={"lora_rank": 5})})
    fit(hospital_b, RunFolder(tmp_path / "on"), FitRequest(other_network, labels=2, start=tiny_run), Hardware("cpu"))
    old, new = (load_file(run / "model" / "model.safetensors") for run in (tiny_run, tmp_path / "on"))
    assert old.keys() == new.keys()
    for name in old:
        if "running" not in name and "num_batches" not in name:
            assert new[name].allclose(old[name], atol=1e-6)
    assert json.loads((tmp_path / "on" / "config.json").read_text())["start"] == str(tiny_run / "model")


def student_of(teacher: Path) -> FitRequest:
    return FitRequest(load_preset("student", ["fit.epochs=2", "model.width=0.25"]), labels=0, teacher=teacher)


def test_a_student_learns_from_slices_that_nobody_labelled(
    hospital_a: Path, tiny_run: Path, tmp_path: Path, log: Log
) -> None:
    scans = tmp_path / "scans"
    scans.mkdir()
    for scan in hospital_a.glob("volume-*"):
        shutil.copy(scan, scans / f"{scan.name.removeprefix('volume-')}")
    fit(scans, RunFolder(tmp_path / "run"), student_of(tiny_run), Hardware("cpu"))
    lines = log(tmp_path / "run")
    assert [line["epoch"] for line in lines] == [1, 2]
    assert all(line[name] > 0 for line in lines for name in ("mask_entropy", "mask_dice", "map", "presence"))  # type: ignore[operator]
    assert lines[0]["val_dice"] is None
    splits = json.loads((tmp_path / "run" / "config.json").read_text())["data"]["splits"]
    learned = {known.name for known in read_card(tmp_path / "run").lineage.learned.patients if known.dataset == "scans"}
    assert learned == {patient for patient, split in splits.items() if split == "train"}


def test_an_interrupted_student_goes_on_as_if_it_had_not_been(
    hospital_a: Path, tiny_run: Path, tmp_path: Path, interrupted: Interrupted, same_weights: SameWeights
) -> None:
    whole, cut = RunFolder(tmp_path / "whole"), RunFolder(tmp_path / "cut")
    fit(hospital_a, whole, student_of(tiny_run), Hardware("cpu"))
    with interrupted(RunFolder, "save_checkpoint", after=1):
        fit(hospital_a, cut, student_of(tiny_run), Hardware("cpu"))
    with pytest.raises(ConfigError, match="was begun with MODEL"):
        fit(hospital_a, cut, student_of(whole.path), Hardware("cpu"), resume=True)
    fit(hospital_a, cut, FitRequest(), Hardware("cpu"), resume=True)
    assert same_weights(cut.path, whole.path)


def test_all_labels_is_full_supervision(hospital_a: Path, tmp_path: Path) -> None:
    fit(
        hospital_a,
        RunFolder(tmp_path / "run"),
        FitRequest(load_preset("tiny", ["fit.epochs=1"]), labels="all"),
        Hardware("cpu"),
    )
    data = json.loads((tmp_path / "run" / "config.json").read_text())["data"]
    assert len(data["drawn"]) > 12


def test_too_few_masks(hospital_a: Path, tmp_path: Path) -> None:
    with pytest.raises(SammixError, match="1000 annotated slices were asked for, but only"):
        fit(hospital_a, RunFolder(tmp_path / "run"), FitRequest(load_preset("tiny"), labels=1000), Hardware("cpu"))
    assert not (tmp_path / "run").exists()


def test_one_class_only(hospital_a: Path, tmp_path: Path) -> None:
    config = load_preset("tiny", ["data.middle_fraction=0.1"])
    with pytest.raises(SammixError, match="the classifier needs slices with and without the liver"):
        fit(hospital_a, RunFolder(tmp_path / "run"), FitRequest(config, labels=2), Hardware("cpu"))


def test_an_existing_folder_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("precious")
    with pytest.raises(OutputError, match="exists already"):
        fit(
            Path("data that is not looked at"),
            RunFolder(tmp_path),
            FitRequest(load_preset("tiny"), labels=4),
            Hardware("cpu"),
        )
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_resume_refuses_what_is_not_its_run(
    hospital_a: Path, hospital_b: Path, tmp_path: Path, copied_run: Path
) -> None:
    with pytest.raises(InputError, match=r"no config\.json"):
        fit(hospital_a, RunFolder(tmp_path), FitRequest(load_preset("tiny")), Hardware("cpu"), resume=True)
    with pytest.raises(InputError, match="not the data that this run was begun with"):
        fit(hospital_b, RunFolder(copied_run), FitRequest(load_preset("tiny")), Hardware("cpu"), resume=True)
    for name in (CHECKPOINT, PREVIOUS):
        (copied_run / name).write_bytes(b"not a checkpoint")
    with pytest.raises(InputError, match="cannot be read as a checkpoint"):
        fit(hospital_a, RunFolder(copied_run), FitRequest(load_preset("tiny")), Hardware("cpu"), resume=True)


def test_a_fit_killed_while_it_reads_resumes(
    hospital_a: Path, tmp_path: Path, log: Log, interrupted: Interrupted
) -> None:
    config = load_preset("tiny", ["fit.epochs=1"])
    with interrupted(fitting, "load_table"):
        fit(hospital_a, RunFolder(tmp_path / "run"), FitRequest(config, labels=5, seed=3), Hardware("cpu"))
    fit(hospital_a, RunFolder(tmp_path / "run"), FitRequest(load_preset("tiny")), Hardware("cpu"), resume=True)
    record = json.loads((tmp_path / "run" / "config.json").read_text())
    assert (record["seed"], record["labels"], record["config"]["fit"]["epochs"]) == (3, 5, 1)
    assert [line["epoch"] for line in log(tmp_path / "run")] == [1]


@pytest.mark.parametrize("change", ["a mask", "a label", "prepared otherwise"])
def test_a_store_that_changed_since_is_refused_and_the_run_is_left_as_it_was(
    hospital_a: Path, tmp_path: Path, change: str
) -> None:
    store, run, config = tmp_path / "a.h5", tmp_path / "run", load_preset("tiny", ["fit.epochs=1"])
    prepare(hospital_a, store, config.data)
    fit(store, RunFolder(run), FitRequest(config, labels=4), Hardware("cpu"))
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    told = r"a\.h5: is not the data that this run was begun with"
    if change == "prepared otherwise":
        told = r"a\.h5: holds the middle 0\.9 of each scan's slices, not 1"
        prepare(hospital_a, store, load_preset("tiny", ["data.middle_fraction=0.9"]).data, overwrite=True)
    else:
        with h5py.File(shutil.copy(store, tmp_path / "b.h5"), "a") as file:
            row = int(np.flatnonzero(file["has_mask"][:])[-1])
            if change == "a mask":
                file["masks"][row, 0, 0] ^= 1
            else:
                file["label"][row] ^= 1
        os.replace(tmp_path / "b.h5", store)
    with pytest.raises(InputError, match=told):
        fit(store, RunFolder(run), FitRequest(config), Hardware("cpu"), resume=True)
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before


def test_other_base_weights_than_the_run_was_begun_with(hospital_a: Path, copied_run: Path) -> None:
    record = json.loads((copied_run / "config.json").read_text())
    (copied_run / "config.json").write_text(json.dumps(record | {"base_sha256": "0" * 64}))
    with pytest.raises(SammixError, match="tiny: its weights are not those that this run was begun with"):
        fit(hospital_a, RunFolder(copied_run), FitRequest(load_preset("tiny")), Hardware("cpu"), resume=True)


def test_two_fits_into_one_folder(hospital_a: Path, tmp_path: Path, copied_run: Path) -> None:
    with FileLock(copied_run / LOCK), pytest.raises(OutputError, match="another sammix is writing there"):
        fit(hospital_a, RunFolder(copied_run), FitRequest(load_preset("tiny")), Hardware("cpu"), resume=True)
    (tmp_path / "new").mkdir()
    with FileLock(tmp_path / "new" / LOCK), pytest.raises(OutputError, match="another sammix is writing there"):
        fit(hospital_a, RunFolder(tmp_path / "new"), FitRequest(load_preset("tiny")), Hardware("cpu"))


def test_annotated_slices_of_a_seed_are_nested(hospital_a: Path, tmp_path: Path) -> None:
    config, chosen = load_preset("tiny", ["fit.epochs=1"]), {}
    for count in (2, 6):
        run = RunFolder(tmp_path / str(count))
        fit(hospital_a, run, FitRequest(config, labels=count, seed=4), Hardware("cpu"))
        record = json.loads((run.path / "config.json").read_text())["data"]["drawn"]
        chosen[count] = {(one["case"], one["slice"]) for one in record}
    assert chosen[2] < chosen[6]


@pytest.fixture
def labels_only(tmp_path: Path) -> Path:
    """A slice table of eight patients: yes/no labels, and not one mask."""
    folder, lines = tmp_path / "labels-only", ["image,patient,liver,split"]
    (folder / "i").mkdir(parents=True)
    rng = np.random.default_rng(0)
    for patient in range(8):
        for label in (0, 1):
            plane = rng.integers(0, 60, (64, 64), dtype=np.uint8)
            plane[20:40, 10:30] += np.uint8(120 * label)
            Image.fromarray(plane).save(folder / f"i/{patient}-{label}.png")
            split = "val" if patient == 0 else "train"
            lines.append(f"i/{patient}-{label}.png,p{patient},{label},{split}")
    (folder / "slices.csv").write_text("\n".join(lines) + "\n")
    return folder


def test_labels_alone_are_enough_to_begin_with(labels_only: Path, tmp_path: Path) -> None:
    config = load_preset("sam-pp", ["data.size=64", "model.encoder=tiny", "fit.epochs=2", "fit.classifier_epochs=1"])
    model = fit(labels_only, RunFolder(tmp_path / "run"), FitRequest(config, labels=0), Hardware("cpu"))
    assert read_card(model).data["drawn"] == []
    with pytest.raises(SammixError, match="annotated slices were asked for, but"):
        fit(labels_only, RunFolder(tmp_path / "five"), FitRequest(config, labels=5), Hardware("cpu"))


def test_sam_pp_with_nothing_to_learn_from_is_refused(labels_only: Path, tmp_path: Path) -> None:
    config = load_preset("sam-pp", ["data.size=64", "model.encoder=tiny", "fit.classifier_epochs=0"])
    with pytest.raises(ConfigError, match=r"fit\.classifier_epochs is 0; set it above 0"):
        fit(labels_only, RunFolder(tmp_path / "run"), FitRequest(config, labels=0), Hardware("cpu"))
    assert not (tmp_path / "run").exists()


def test_resuming_keeps_to_what_the_run_was_begun_with(hospital_a: Path, copied_run: Path) -> None:
    run = RunFolder(copied_run)
    for asked, told in (
        (FitRequest(labels=7), "was begun with --labels 4, not with --labels 7"),
        (FitRequest(labels="all"), "was begun with --labels 4, not with --labels all"),
        (FitRequest(seed=3), "was begun with --seed 0, not with --seed 3"),
        (FitRequest(load_preset("unet")), "was begun with --preset tiny, not with --preset unet"),
        (FitRequest(start=Path("liver-ct-lite")), "was begun without --from, not with --from"),
    ):
        with pytest.raises(ConfigError, match=told):
            fit(hospital_a, run, asked, Hardware("cpu"), resume=True)
    fit(hospital_a, run, FitRequest(labels=4, seed=0), Hardware("cpu"), resume=True)


def test_float32_means_the_frozen_stages_too(hospital_a: Path, tmp_path: Path) -> None:
    """``auto`` may hold them in bfloat16; what was computed so is not taken for the other."""
    dtypes = {}
    for precision in ("32-true", "bf16-mixed"):
        config = load_preset("tiny", ["fit.epochs=1", f"fit.precision={precision}"])
        fit(hospital_a, RunFolder(tmp_path / precision, tmp_path / "cache"), FitRequest(config, 4), Hardware("cpu"))
        keys = [json.loads(path.read_text())["key"]["dtype"] for path in tmp_path.glob("cache/*/views.json")]
        dtypes[precision] = set(keys)
    assert dtypes["32-true"] == {"torch.float32"}
    if bfloat16_pays(torch.device("cpu")):
        assert dtypes["bf16-mixed"] == {"torch.float32", "torch.bfloat16"}


@pytest.mark.parametrize(
    ("settings", "asked", "told"),
    [
        ([], FitRequest(seed=-1), "the seed is -1"),
        ([], FitRequest(labels=-3), "-3 annotated slices were asked for"),
        (["model.lora_blocks=20"], FitRequest(), "has 4 blocks, but model.lora_blocks asks for LoRA in 20"),
        (
            ["model.kind=vnet"],
            FitRequest(),
            "no kind of network is called 'vnet' .*there are: sam-mix, sam-pp, student",
        ),
        (["data.val_fraction=0.95"], FitRequest(), "val_fraction"),
    ],
)
def test_what_cannot_be_is_one_clear_line(
    hospital_a: Path, tmp_path: Path, settings: list[str], asked: FitRequest, told: str
) -> None:
    asked = replace(asked, config=load_preset("tiny", settings), labels=asked.labels or 4)
    with pytest.raises(SammixError, match=told):
        fit(hospital_a, RunFolder(tmp_path / "run"), asked, Hardware("cpu"))
    assert not (tmp_path / "run").exists()
