"""Phantoms on disk: names, headers, bytes, and folders that are left alone."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from sammix.demo.phantoms import NATIVE, PORTAL, write_lits, write_totalsegmentator
from sammix.errors import ConfigError, OutputError

TINY_PORTAL, TINY_NATIVE = PORTAL.at((40, 40, 20)), NATIVE.at((40, 40, 20))


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_lits_pairs_can_be_read_and_fit_each_other(tmp_path: Path) -> None:
    steps: list[tuple[int, int]] = []
    write_lits(tmp_path / "lits", 2, 7, TINY_PORTAL, lambda done, total: steps.append((done, total)))
    assert set(files(tmp_path / "lits")) == {f"{kind}-{n}.nii" for kind in ("volume", "segmentation") for n in (0, 1)}
    assert steps == [(1, 2), (2, 2)]
    volume, truth = (nib.load(tmp_path / "lits" / f"{kind}-1.nii") for kind in ("volume", "segmentation"))
    assert volume.get_data_dtype() == np.int16
    assert volume.shape == truth.shape == TINY_PORTAL.shape
    np.testing.assert_allclose(volume.affine, truth.affine)
    np.testing.assert_allclose(volume.get_qform(), volume.get_sform(), atol=1e-4)
    assert nib.aff2axcodes(volume.affine) == TINY_PORTAL.axcodes
    assert {0, 1} <= set(np.unique(truth.dataobj)) <= {0, 1, 2}
    assert np.asarray(volume.dataobj)[np.asarray(truth.dataobj) == 1].mean() == pytest.approx(105, abs=35)


def test_totalsegmentator_folders_hold_binary_masks_and_a_table(tmp_path: Path) -> None:
    write_totalsegmentator(tmp_path / "total", 5, 7, TINY_NATIVE)
    for case in (tmp_path / "total").glob("s*"):
        ct = nib.load(case / "ct.nii.gz")
        for organ in ("liver", "spleen", "kidney_right", "kidney_left"):
            mask = nib.load(case / "segmentations" / f"{organ}.nii.gz")
            np.testing.assert_allclose(mask.affine, ct.affine)
            assert set(np.unique(mask.dataobj)) == {0, 1}
    header, *rows = (tmp_path / "total" / "meta.csv").read_text().splitlines()
    assert header == "image_id;institute;split"
    assert [row.split(";")[0] for row in rows] == [f"s{n:04d}" for n in range(5)]
    assert [row.split(";")[2] for row in rows] == ["train", "train", "train", "val", "test"]


@pytest.mark.parametrize("write", [write_lits, write_totalsegmentator])
def test_the_same_arguments_write_the_same_bytes(write, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    for folder, seed in (("a", 3), ("b", 3), ("c", 4)):
        write(tmp_path / folder, 2, seed, TINY_PORTAL)
    assert files(tmp_path / "a") == files(tmp_path / "b")
    assert files(tmp_path / "a") != files(tmp_path / "c")


def test_patients_of_one_data_set_differ_and_do_not_depend_on_how_many_there_are(tmp_path: Path) -> None:
    write_lits(tmp_path / "two", 2, 3, TINY_PORTAL)
    write_lits(tmp_path / "one", 1, 3, TINY_PORTAL)
    two, one = files(tmp_path / "two"), files(tmp_path / "one")
    assert two["volume-0.nii"] == one["volume-0.nii"]
    assert two["volume-0.nii"] != two["volume-1.nii"]


@pytest.mark.parametrize("write", [write_lits, write_totalsegmentator])
def test_a_folder_with_something_in_it_is_left_alone(write, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(OutputError, match="choose a folder that is new or empty"):
        write(tmp_path, 1, 0, TINY_PORTAL)
    assert list(files(tmp_path)) == ["notes.txt"]


@pytest.mark.parametrize("write", [write_lits, write_totalsegmentator])
def test_no_patients_is_an_error_and_leaves_no_folder(write, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ConfigError, match="1 or more"):
        write(tmp_path / "none", 0, 0, TINY_PORTAL)
    assert not (tmp_path / "none").exists()
