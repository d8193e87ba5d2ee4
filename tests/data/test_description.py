from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

import sammix.io.glance
from sammix.config import load_preset
from sammix.data.description import describe_path
from sammix.data.preparing import prepare
from sammix.data.store import open_store
from sammix.errors import InputError
from sammix.io import find_inputs, read_volume


def test_a_folder_of_two_studies(tmp_path, write_series, write_dicom) -> None:
    series = [("1.1", "1.1.1", 2, "portal\x1b[31m venous"), ("1.1", "1.1.2", 3, "lung"), ("1.2", "1.2.1", 1, "")]
    for study, uid, number, text in series:
        tags = {"StudyInstanceUID": study, "SeriesInstanceUID": uid, "SeriesNumber": number, "SeriesDescription": text}
        for file in write_series(tmp_path / "one", n=7, **tags).iterdir():
            (tmp_path / "in").mkdir(exist_ok=True)
            file.rename(tmp_path / "in" / f"{uid}.{file.name}")
    (tmp_path / "in/1.1.2.003.dcm").unlink()
    mr = {"StudyInstanceUID": "1.2", "SeriesInstanceUID": "1.2.2", "SeriesNumber": 5, "Modality": "MR"}
    write_dicom(tmp_path / "in/mr", np.zeros((6, 4), np.uint16), **mr)
    shown = describe_path(tmp_path / "in")
    blocks = re.split(r"^in_\d: series ", shown, flags=re.MULTILINE)
    assert blocks[1].splitlines()[0] == "1.1.1, study 1 of 2: CT, 7 slices, “portal[31m venous”"
    assert "4 × 6 × 7 voxels, 0.7 × 0.9 × 2 mm, axes LPS" in blocks[1]
    assert "HU in 5 of 7 slices" in blocks[1]
    assert "for predict: a scan, named in_1" in blocks[1]
    assert "warning: slices are missing or mixed: a gap of 4.00 mm" in blocks[2]
    assert "refused by predict" in blocks[2]
    assert "1.2.1, study 2 of 2" in blocks[3]
    assert "for predict: a scan, named in_3" in blocks[3]
    assert shown.endswith("left out by predict: 1 × MR (mr)")
    assert "20 files are part of a scan" in shown
    assert "Secret" not in shown

    alone = describe_path(tmp_path / "in", "1.2.1")
    assert "1.2.1, study 2 of 2" in alone
    assert "1.1.1" not in alone
    with pytest.raises(InputError, match=r"holds no series 1\.9"):
        describe_path(tmp_path / "in", "1.9")
    archive = shutil.make_archive(str(tmp_path / "a"), "zip", tmp_path, "in")
    assert all(block.splitlines()[0] in describe_path(Path(archive)) for block in blocks[1:])


def test_values_are_those_of_the_scan(tmp_path, write_series) -> None:
    folder = write_series(tmp_path / "ct", n=4)
    hu = read_volume(folder).array
    assert f"values from {hu.min()} to {hu.max()} HU\n" in describe_path(folder), "all four slices are looked at"
    (case,) = find_inputs(folder / "001.dcm").cases
    assert f"for predict: a scan, named {case.name}" in describe_path(folder / "001.dcm")


def test_a_large_nifti_is_read_in_part(tmp_path, monkeypatch) -> None:
    hu = np.full((8, 9, 10), -1000, np.int16)
    hu[2, 2, :4], hu[3, 3, 9] = 300, 2000
    nib.save(nib.Nifti1Image(hu, np.diag([-1, -2, 3, 1])), tmp_path / "ct.nii.gz")
    assert "values from -1000 to 2000 HU\n10 axial" in describe_path(tmp_path / "ct.nii.gz")
    monkeypatch.setattr(sammix.io.glance, "GLANCE_VOXELS", 4 * 72)
    shown = describe_path(tmp_path / "ct.nii.gz")
    assert "scan of 8 × 9 × 10 voxels, 1 × 2 × 3 mm, axes LPS" in shown
    assert "values from -1000 to 300 HU in 4 of 10 slices" in shown
    content = (tmp_path / "ct.nii.gz").read_bytes()
    (tmp_path / "ct.nii.gz").write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match="gzip data is damaged or cut short"):
        describe_path(tmp_path / "ct.nii.gz")


def test_nothing_heavy_is_imported(tmp_path, write_series, hospital_a) -> None:
    write_series(tmp_path / "ct", n=300)
    code = (
        "import sys; from pathlib import Path; from sammix.data.description import describe_path\n"
        "[print(describe_path(Path(path))) for path in sys.argv[1:]]\n"
        "heavy = {'torch', 'transformers', 'SimpleITK', 'highdicom', 'matplotlib'} & set(sys.modules)\n"
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "ct"), str(hospital_a), str(hospital_a / "volume-0.nii")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "300 slices" in done.stdout


def test_a_store_says_what_it_holds(hospital_a: Path, tmp_path: Path) -> None:
    config = load_preset("tiny", ["data.middle_fraction=0.5"]).data
    assert prepare(hospital_a, tmp_path / "a.h5", config) == 36
    table = open_store(tmp_path / "a.h5")
    yes, annotated = (table.label == 1).sum(), table.annotated.sum()
    no = f"{36 - yes} without ({36 - yes} with an empty mask)"
    assert describe_path(tmp_path / "a.h5").splitlines() == [
        "store of 36 slices of 6 patients (the middle 0.5 of each scan; 64 px; window 40/400 HU)",
        f"labels: {yes} with the liver ({annotated} annotated), {no}, 0 not known",
    ]


def test_a_slice_table_says_its_labels_and_splits(tmp_path: Path) -> None:
    rows = ["image,patient,mask,liver,split", "a.png,p,a.png,1,train", "b.png,p,b.png,0,train", "c.png,q,,0,val"]
    for name in "abc":
        (tmp_path / f"{name}.png").touch()
    (tmp_path / "slices.csv").write_text("\n".join(rows))
    assert describe_path(tmp_path).splitlines() == [
        "slice table: 3 cases of 2 patients, 2 with a mask of the liver",
        "labels: 1 with the liver, 2 without",
        "splits (cases): train 2, val 1",
        "for fit, evaluate, predict",
        "3 files are part of a scan",
        "left out by predict: 1 × description of the data set (slices.csv)",
    ]


def test_a_store_counts_what_is_known_apart(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((32, 32), np.uint8)).save(tmp_path / "black.png")
    Image.fromarray(np.full((32, 32), 255, np.uint8)).save(tmp_path / "drawn.png")
    rows = ["image,patient,mask,liver,hu_min,hu_max"]
    said = [("drawn", "yes"), ("black", "yes"), ("", "yes"), ("black", "no"), ("drawn", "no"), ("", "no"), ("", ""),
            ("black", ""), ("drawn", ""), ("black", "no")]  # fmt: skip
    for number, (mask, label) in enumerate(said):
        Image.fromarray(np.arange(32, dtype=np.uint8) * np.ones((32, 1), np.uint8)).save(tmp_path / f"{number}.png")
        rows.append(f"{number}.png,p{number},{mask and mask + '.png'},{label},-160,240")
    (tmp_path / "slices.csv").write_text("\n".join(rows))
    assert "labels: 3 with the liver, 4 without, 3 not known" in describe_path(tmp_path)
    prepare(tmp_path, tmp_path / "s.h5", load_preset("tiny").data)
    shown = describe_path(tmp_path / "s.h5").splitlines()[1]
    assert shown == "labels: 4 with the liver (2 annotated), 4 without (2 with an empty mask), 2 not known"


def test_a_real_segmentation(real_data) -> None:
    shown = describe_path(real_data / "dicom-seg/liver.dcm")
    assert "512 × 512 × 3 voxels, 0.811 × 0.811 × 1 mm\nsegment 1: “Liver” (Liver)" in shown


def test_scans_in_archives_are_named(tmp_path, write_series) -> None:
    write_series(tmp_path / "ct")
    shutil.make_archive(str(tmp_path / "in/export"), "zip", tmp_path, "ct")
    assert "scans in archives, for predict: ct (in export.zip)" in describe_path(tmp_path / "in").splitlines()


def test_whole_scans_are_called_by_name(hospital_a: Path) -> None:
    assert (
        "cases: volume-0, volume-1, volume-2, volume-3, volume-4 and 1 more" in describe_path(hospital_a).splitlines()
    )
