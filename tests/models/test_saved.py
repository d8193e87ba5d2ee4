from __future__ import annotations

import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from sammix.errors import InputError
from sammix.models.card import read_card
from sammix.models.saved import load_model, model_sha256, save_model


def test_a_loaded_model_says_the_same_twice(tiny_run: Path) -> None:
    images = torch.rand(2, 1, 64, 64)
    first, second = (load_model(path, torch.device("cpu")) for path in (tiny_run, tiny_run / "model"))
    assert torch.equal(
        first.segment(first.encode(images)).probability, second.segment(second.encode(images)).probability
    )


def test_the_file_holds_only_what_was_trained(tiny_run: Path) -> None:
    from safetensors.torch import load_file

    names = load_file(tiny_run / "model" / "model.safetensors")
    encoder = {name.rsplit(".", 1)[1] for name in names if name.startswith("sam.image_encoder")}
    assert encoder == {"a_q", "b_q", "a_v", "b_v"}


def test_half_precision_halves_the_file_and_hardly_changes_the_answer(tiny_run: Path, tmp_path: Path) -> None:
    model, images = load_model(tiny_run, torch.device("cpu")), torch.rand(2, 1, 64, 64)
    save_model(tmp_path, model, read_card(tiny_run), dtype=torch.float16)
    whole, half = (
        path.stat().st_size for path in (tiny_run / "model/model.safetensors", tmp_path / "model.safetensors")
    )
    assert half < 0.6 * whole
    small = load_model(tmp_path, torch.device("cpu"))
    torch.testing.assert_close(
        small.segment(small.encode(images)).probability,
        model.segment(model.encode(images)).probability,
        atol=0.02,
        rtol=0,
    )


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("model.json", "{", "is damaged: it is not JSON"),
        ("model.json", "{}", "has the format None, where this version of sammix reads sammix-model-2"),
        ("model.safetensors", "no tensors", "missing or damaged"),
    ],
)
def test_damaged_files_are_named(tiny_run: Path, tmp_path: Path, file: str, content: str, message: str) -> None:
    copy = shutil.copytree(tiny_run / "model", tmp_path / "model")
    (copy / file).write_text(content)
    with pytest.raises(InputError, match=message):
        load_model(copy)


@pytest.mark.parametrize("save", [pickle.dump, torch.save])
def test_a_pickle_posing_as_a_model_is_not_run(
    tiny_run: Path, tmp_path: Path, evil: object, save: Callable[[object, object], None]
) -> None:
    copy = shutil.copytree(tiny_run / "model", tmp_path / "model")
    with open(copy / "model.safetensors", "wb") as file:
        save(evil, file)
    with pytest.raises(InputError, match=r"model\.safetensors: is missing or damaged"):
        load_model(copy)


def test_a_state_of_another_network_is_refused(tiny_run: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(tiny_run / "model", tmp_path / "model")
    card = json.loads((copy / "model.json").read_text())
    card["config"]["model"]["lora_rank"] = 3
    (copy / "model.json").write_text(json.dumps(card))
    with pytest.raises(InputError, match="does not fit this network"):
        load_model(copy)


def test_a_model_is_known_by_its_content(tiny_run: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(tiny_run / "model", tmp_path / "another name")
    assert model_sha256(copy) == model_sha256(tiny_run)
    assert model_sha256(Path("liver-ct-lite")) != model_sha256(tiny_run)
    card = json.loads((copy / "model.json").read_text())
    card["config"]["model"]["omega"] = 0.4
    (copy / "model.json").write_text(json.dumps(card))
    assert model_sha256(copy) != model_sha256(tiny_run)
    (copy / "model.safetensors").unlink()
    with pytest.raises(InputError, match=r"model\.safetensors: is missing"):
        model_sha256(copy)
