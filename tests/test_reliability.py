"""Promises of docs/reliability.md that concern several modules at once."""

from __future__ import annotations

import gzip
import json
import pickle
import resource
import shutil
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import h5py
import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
import torch
from filelock import FileLock

from sammix.atomic import LOCK, sole_writer
from sammix.config import load_preset
from sammix.errors import InputError, OutputError
from sammix.fit import fit
from sammix.model import SAMMix
from sammix.predict import Wanted, predict
from sammix.readers import open_dataset, read_volume
from sammix.readers.dicom_files import MAX_DEFLATED
from sammix.run import CHECKPOINT, PREVIOUS, RunFolder
from sammix.saved_model import load_model, read_card
from sammix.slices.store import open_store

STATE = dict.fromkeys(("best", "model", "optimizer", "scheduler", "teacher"), 0)


class Evil:
    """Would leave a file where it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return Path.touch, (self.trace,)


def saved(run: Path, *epochs: int) -> RunFolder:
    for epoch in epochs:
        RunFolder(run).save_checkpoint({"epoch": epoch, **STATE})
    return RunFolder(run)


@pytest.mark.parametrize("damage", ["cut", "a flipped bit", "a pickle", "another program's"])
def test_a_damaged_checkpoint_gives_way_to_the_one_before(tmp_path: Path, damage: str) -> None:
    run, path = saved(tmp_path, 1, 2), tmp_path / CHECKPOINT
    content = bytearray(path.read_bytes())
    if damage == "a flipped bit":
        content[content.index(b"scheduler")] ^= 1
    path.write_bytes(content[:-30] if damage == "cut" else content)
    if damage == "a pickle":
        path.write_bytes(pickle.dumps(Evil(tmp_path / "trace")))
    if damage == "another program's":
        torch.save({"weights": torch.zeros(3)}, path)
    state = run.load_checkpoint()
    assert state is not None
    assert state["epoch"] == 1
    assert not (tmp_path / "trace").exists()
    assert run.load_checkpoint() == state


def test_a_full_disk_leaves_the_last_checkpoint(tmp_path: Path) -> None:
    run = saved(tmp_path, 1)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, hard))
    try:
        with pytest.raises(OutputError, match="cannot be written"):
            run.save_checkpoint({"epoch": 2, **STATE, "model": torch.zeros(100_000)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert (run.load_checkpoint() or {})["epoch"] == 1
    assert {path.name for path in tmp_path.iterdir()} == {CHECKPOINT}


def test_another_networks_checkpoint_is_named(hospital_a: Path, tiny_run: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(tiny_run, tmp_path / "copy")
    (copy / PREVIOUS).unlink()
    state = RunFolder(copy).load_checkpoint() or {}
    torch.save({**state, "epoch": 1, "model": {"other": torch.zeros(2)}}, copy / CHECKPOINT)
    with pytest.raises(InputError, match="of another network"):
        fit(hospital_a, load_preset("tiny"), copy, resume=True, device="cpu")


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


def test_a_fit_killed_while_it_reads_resumes(hospital_a: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    config = load_preset("tiny", ["fit.epochs=1"])
    with monkeypatch.context() as patch:
        patch.setattr("sammix.fit.load_table", killed)
        with pytest.raises(KeyboardInterrupt):
            fit(hospital_a, config, tmp_path / "run", labels=5, seed=3, device="cpu")
    fit(hospital_a, load_preset("tiny"), tmp_path / "run", resume=True, device="cpu")
    record = json.loads((tmp_path / "run" / "config.json").read_text())
    assert (record["seed"], record["labels"], record["config"]["fit"]["epochs"]) == (3, 5, 1)
    assert len((tmp_path / "run" / "log.jsonl").read_text().splitlines()) == 1


def test_two_processes_do_not_write_into_one_folder(hospital_a: Path, tiny_run: Path, tmp_path: Path) -> None:
    (tmp_path / ".0123abcd.mask.nii.gz").touch()  # what a killed process left
    (tmp_path / "mine").touch()
    with FileLock(tmp_path / LOCK):
        with pytest.raises(OutputError, match="another sammix is writing there"):
            fit(hospital_a, load_preset("tiny"), tmp_path, resume=True, device="cpu")
        with pytest.raises(OutputError, match="another sammix is writing there"):
            predict(lambda: pytest.fail("loaded"), [hospital_a], tmp_path, Wanted("liver"), overwrite=True)
    with sole_writer(tmp_path):
        assert {path.name for path in tmp_path.iterdir()} == {LOCK, "mine"}


def test_ctrl_c_leaves_whole_masks(hospital_a: Path, tiny_run: Path, tmp_path: Path) -> None:
    model = load_model(tiny_run, torch.device("cpu"))
    asked: list[int] = []

    class Interrupted(SAMMix):
        def encode(self, images: torch.Tensor) -> object:
            asked.append(1)
            if len(asked) == 5:  # in the second scan
                raise KeyboardInterrupt
            return super().encode(images)

    model.__class__ = Interrupted
    with pytest.raises(KeyboardInterrupt):
        predict(lambda: model, [hospital_a], tmp_path, Wanted("liver"))
    done = json.loads((tmp_path / "manifest.json").read_text())["scans"]
    masks = sorted(tmp_path.glob("*.nii.gz"))
    assert [mask.name for mask in masks] == [entry["mask"] for entry in done]
    assert len(done) == 1
    assert nib.load(masks[0]).get_fdata().shape == (72, 72, 12)
    assert not (tmp_path / LOCK).exists()


def small_nifti(path: Path) -> bytes:
    hu = np.random.default_rng(0).integers(-1000, 900, (8, 8, 4)).astype(np.int16)
    nib.save(nib.Nifti1Image(hu, np.diag([2, 2, 5, 1])), path)
    return path.read_bytes()


def test_a_gzip_bomb_is_refused(tmp_path: Path) -> None:
    content = small_nifti(tmp_path / "ct.nii")
    (tmp_path / "tail.nii.gz").write_bytes(gzip.compress(content + bytes(2**27), 6))
    with pytest.raises(InputError, match="far more than its header says"):
        read_volume(tmp_path / "tail.nii.gz")
    extended = bytearray(content[:348] + b"\1\0\0\0" + struct.pack("<ii", 2**31 - 8, 4) + bytes(1000))
    extended[108:112] = struct.pack("<f", 1024)
    (tmp_path / "extension.nii.gz").write_bytes(gzip.compress(bytes(extended)))
    with pytest.raises(InputError, match="an extension of its header claims 2,147,483,640 bytes"):
        read_volume(tmp_path / "extension.nii.gz")


@pytest.mark.parametrize("name", ["/dev/zero", "../other.raw", "LIST", "there-is-none.raw"])
@pytest.mark.parametrize("suffix", [".mha", ".nrrd"])
def test_voxels_outside_the_folder_are_not_opened(tmp_path: Path, name: str, suffix: str) -> None:
    path = tmp_path / f"ct{suffix}"
    sitk.WriteImage(sitk.Image([4, 4, 4], sitk.sitkInt16), str(path))
    content = path.read_bytes().replace(b"ElementDataFile = LOCAL", f"ElementDataFile = {name}".encode())
    path.write_bytes(content.replace(b"encoding:", f"data file: {name}\nencoding:".encode()))
    with pytest.raises(InputError, match="names no single file beside it"):
        read_volume(path)


def test_a_dicom_that_unpacks_without_end_and_one_with_a_hostile_length(tmp_path: Path, write_dicom) -> None:
    path = write_dicom(tmp_path / "a.dcm", np.zeros((8, 8), np.uint16))
    content = path.read_bytes()
    at = content.index(b"\x18\x00\x50\x00DS")  # SliceThickness, now of four gigabytes
    path.write_bytes(content[:at] + b"\x18\x00\x50\x00OB\0\0" + b"\xf0\xff\xff\xff" + content[at + 10 :])
    with pytest.raises(InputError, match="damaged, cut short"):
        read_volume(path)
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    zeros = bytes(2**24)
    bomb = b"".join(packer.compress(zeros) for _ in range(MAX_DEFLATED // 2**24 + 1)) + packer.flush()
    uid = b"1.2.840.10008.1.2.1.99"
    meta = b"\2\0\x10\0UI" + struct.pack("<H", len(uid)) + uid
    path.write_bytes(bytes(128) + b"DICM\2\0\0\0UL\4\0" + struct.pack("<I", len(meta)) + meta + bomb)
    with pytest.raises(InputError, match="unpacks to more than"):
        read_volume(path)


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        ("dataset.yaml", "window_level: 1e999\nwindow_width: 3", "finite number"),
        ("dataset.yaml", "window_level: " + "9" * 5000, "is not YAML"),
        ("dataset.yaml", "name: " + "[" * 5000, "is not YAML"),
        ("dataset.yaml", "name: 2020-99-99", "is not YAML"),
        ("dataset.yaml", "organ: ../../etc/liver", "organ: String should match"),
        ("dataset.yaml", "a: " + "x" * 70_000, "has more than 65,536 bytes"),
        ("slices.csv", "image,patient,label,hu_min,hu_max\na.png,p,1,-1e300,1e300", "not a range"),
        ("slices.csv", "image,patient,label\na.png,p,1\n../b.png,p,1", "line 3: “../b.png” is not a path inside"),
    ],
)
def test_absurd_tables(tmp_path: Path, name: str, text: str, problem: str) -> None:
    (tmp_path / "a.png").touch()
    (tmp_path / "slices.csv").write_text("image,patient,label\na.png,p,1\n")
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError) as error:
        open_dataset(tmp_path)
    assert problem in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("change", [{"organ": "../../liver"}, {"organ": ".liver"}, {"lora_rank": 10**12}, None])
def test_an_absurd_model(tiny_run: Path, tmp_path: Path, change: dict[str, object] | None) -> None:
    card = json.loads((tiny_run / "model" / "model.json").read_text())
    if change and "organ" in change:
        card |= change
    elif change:
        card["config"]["model"] |= change
    (tmp_path / "model.json").write_text(json.dumps(card) if change else "[" * 100_000)
    with pytest.raises(InputError, match="is damaged or of another version"):
        read_card(tmp_path)


def test_absurd_stores(tiny_run: Path, hospital_a: Path, tmp_path: Path) -> None:
    from sammix.data import prepare

    whole = tmp_path / "whole.h5"
    prepare(hospital_a, whole, load_preset("tiny").data)
    assert len(open_store(whole)) == 72

    def problem(name: str, **options: object) -> str:
        path = shutil.copy(whole, tmp_path / "a.h5")
        with h5py.File(path, "a") as file:
            del file[name]
            file.create_dataset(name, **options) if options else file.__setitem__(
                name, h5py.ExternalLink(str(whole), name)
            )
        with pytest.raises(InputError, match="cannot be read as a store") as error:
            open_store(path)
        return error.value.problem

    assert "more than it can hold" in problem("images", shape=(2**40, 64, 64), dtype="f2", chunks=(1, 64, 64))
    assert "differ in length" in problem("index", shape=(2**40,), dtype="i4", chunks=(64,))
    assert "one at a time" in problem("images", shape=(72, 64, 64), dtype="f2", chunks=(72, 64, 64))
    assert "it holds no masks" in problem("masks")
