from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from sammix.errors import WeightsError
from sammix.models import installing, pretrained

pytestmark = pytest.mark.usefixtures("home")


def state_of(name: str) -> str:
    return dict(pretrained.verify())[name]


def test_missing_weights_say_what_to_type() -> None:
    with pytest.raises(WeightsError, match=r"type `sammix weights fetch sam-vit-b`, or `sammix weights import "):
        pretrained.locate("sam-vit-b")
    with pytest.raises(WeightsError, match="no weights are called 'sam'; there are lite-medsam, sam-vit-b, "):
        pretrained.locate("sam")


def test_a_file_put_there_by_hand_has_no_checksum_to_be_held_to(unpublished: Path, home: Path) -> None:
    home.mkdir(parents=True)
    (home / "toy.pth").write_bytes(unpublished.read_bytes())
    assert state_of("toy") == "no checksum on record"
    assert pretrained.load_state("toy").keys() == {"layer.weight"}


def test_an_empty_checksum_file_is_no_checksum(unpublished: Path, home: Path) -> None:
    path = installing.fetch("toy", progress=False)
    path.with_name(f"{path.name}.sha256").write_text("\n")
    assert state_of("toy") == "no checksum on record"


def test_a_training_checkpoint_gives_its_model(tmp_path: Path) -> None:
    torch.save({"model": {"w": torch.ones(2)}, "optimizer": {}, "epoch": 3}, tmp_path / "latest.pth")
    assert pretrained.read_tensors(tmp_path / "latest.pth").keys() == {"w"}


def test_the_folder_follows_the_environment(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert pretrained.weights_dir() == home
    monkeypatch.delenv("SAMMIX_HOME")
    assert pretrained.weights_dir().parts[-2:] == ("sammix", "weights")


def test_a_list_needs_no_torch() -> None:
    script = (
        "import sys; from sammix.models import pretrained;"
        "names = [item.weights.name for item in pretrained.listing()];"
        "pretrained.verify(); print(*names, 'torch' in sys.modules)"
    )
    answer = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert answer.split() == ["lite-medsam", "sam-vit-b", "medsam-vit-b", "False"]
