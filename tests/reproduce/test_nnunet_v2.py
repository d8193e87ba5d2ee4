"""The real nnU-Net: what it is given, how it is called, what comes back, and what is said where it is absent."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch

from sammix.config import DataConfig
from sammix.data.lineage import Lineage
from sammix.data.loading import load_table
from sammix.data.table import SliceTable
from sammix.errors import ConfigError, InputError, SammixError
from sammix.evaluation.protocol import EvaluateOptions, evaluate
from sammix.io import open_dataset
from sammix.reproduce.nnunet_v2 import ENVIRONMENT, PROGRAMS, Recorded, Workspace, commands, export, find_programs, run

BRIGHT = 60  # HU: what the stand-in for nnU-Net takes for liver
STAND_IN = f"""#!{sys.executable}
import os, sys
from pathlib import Path
import nibabel as nib, numpy as np
print("called as", *sys.argv)
for name in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results"):
    assert Path(os.environ[name]).name == name
if "predict" in sys.argv[0]:
    source, target = (Path(sys.argv[sys.argv.index(flag) + 1]) for flag in ("-i", "-o"))
    target.mkdir()
    for path in source.glob("*_0000.nii.gz"):
        scan = nib.load(path)
        mask = (scan.get_fdata() > {BRIGHT}).astype(np.uint8)
        nib.save(nib.Nifti1Image(mask, scan.affine), target / path.name.replace("_0000.nii.gz", ".nii.gz"))
"""


@pytest.fixture(scope="module")
def table(hospital_a: Path) -> SliceTable:
    return load_table(hospital_a, DataConfig(size=64))


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / "work", "liver")


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Commands with nnU-Net's names that threshold."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in PROGRAMS:
        (folder / name).write_text(STAND_IN)
        (folder / name).chmod(0o755)
    monkeypatch.setenv(ENVIRONMENT, str(folder))
    return folder


def rows(*numbers: int) -> np.ndarray:
    return np.array(numbers, np.int64)


def test_the_export_is_nnunets_raw_layout(workspace: Workspace, table: SliceTable) -> None:
    export(workspace, table, rows(3, 5), rows(6), [(table, rows(8, 9))])
    dataset = open_dataset(workspace.raw)  # our own reader of that layout
    assert dataset.layout == "nnU-Net raw"
    assert [case.name for case in dataset.cases] == ["train_000003", "train_000005", "train_000006"]
    volume = dataset.cases[0].read()
    mask = dataset.cases[0].read_mask(volume)
    assert mask is not None
    np.testing.assert_allclose(volume.array[..., 0], np.asarray(table.images[3], np.float32) * 400 - 160, atol=1e-3)
    np.testing.assert_array_equal(mask.array[..., 0], table.masks[3])
    assert volume.spacing == (1, 1, 999)
    assert len(list((workspace.raw / "imagesTs").iterdir())) == 2
    assert json.loads((workspace.raw / "dataset.json").read_text()) == {
        "channel_names": {"0": "CT"},
        "labels": {"background": 0, "liver": 1},
        "numTraining": 3,
        "file_ending": ".nii.gz",
    }
    split = json.loads((workspace.preprocessed / "splits_final.json").read_text())
    assert split == [{"train": ["train_000003", "train_000005"], "val": ["train_000006"]}]


def test_the_commands(workspace: Workspace) -> None:
    plan, train, predict = (" ".join(words) for words in commands(workspace, "cuda"))
    assert plan == "nnUNetv2_plan_and_preprocess -d 900 -c 2d --verify_dataset_integrity"
    assert train == "nnUNetv2_train 900 2d 0 -tr nnUNetTrainer_100epochs -device cuda --c"
    assert predict.endswith("-d 900 -c 2d -f 0 -tr nnUNetTrainer_100epochs -device cuda")
    assert workspace.raw.name == "Dataset900_liver"


def test_where_it_is_absent_the_remedy_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv(ENVIRONMENT, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(
        ConfigError, match=r"nnU-Net v2 is not here: no nnUNetv2_plan_and_preprocess on the path; .*pip"
    ):
        find_programs()
    monkeypatch.setenv(ENVIRONMENT, str(tmp_path / "nowhere"))
    with pytest.raises(ConfigError, match=r"no nnUNetv2_plan_and_preprocess in .*nowhere"):
        find_programs()


def test_its_masks_are_evaluated_as_any_networks(programs: Path, workspace: Workspace, table: SliceTable) -> None:
    files = export(workspace, table, rows(3), rows(6), [(table, np.arange(len(table)))])
    run(workspace, "cpu")
    network = Recorded(files, workspace.predictions, table.preprocess)
    images = torch.from_numpy(np.asarray(table.images[[20, 4]], np.float32))[:, None]
    found = network.segment(network.encode(images))
    np.testing.assert_array_equal(found.probability, images[:, 0] * 400 - 160 > BRIGHT)
    assert (found.presence == 1).all()
    paper = evaluate(network, table, EvaluateOptions("liver", split="all"), Lineage()).metrics.paper
    assert paper.dice.n == int(table.annotated.sum())
    assert paper.dice.mean is not None
    assert paper.dice.mean > 0.2
    with pytest.raises(InputError, match="nnU-Net left no mask here"):
        network.encode(torch.rand(1, 1, 64, 64))


def test_a_failing_command_is_told_with_its_last_line(programs: Path, workspace: Workspace, table: SliceTable) -> None:
    (programs / PROGRAMS[1]).write_text(f"#!{sys.executable}\nimport sys\nprint('out of memory')\nsys.exit(3)\n")
    export(workspace, table, rows(3), rows(6), [])
    with pytest.raises(SammixError, match=r"nnUNetv2_train failed with code 3: out of memory; see .*nnunet\.log"):
        run(workspace, "cpu")
    assert os.environ[ENVIRONMENT] == str(programs)
    assert nib.load(workspace.raw / "imagesTr" / "train_000003_0000.nii.gz").shape == (64, 64, 1)
