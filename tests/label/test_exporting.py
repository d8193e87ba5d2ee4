from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest
from PIL import Image

import sammix
from sammix.config import DataConfig
from sammix.data.loading import load_table
from sammix.data.scan_slices import read_slices
from sammix.data.store import open_store
from sammix.errors import SammixError
from sammix.io import open_dataset
from sammix.label.exporting import export_dataset, export_segmentations, new_folder
from sammix.label.learning_data import prepare, write_learning_store
from sammix.label.means import Means
from sammix.label.service import Service

SIZE = 64


def test_a_fit_on_the_export_has_what_the_page_had(service: Service, disc: np.ndarray, tmp_path: Path) -> None:
    for number in range(3):
        service.mark("ada", number, 3, 8)
        service.draw("ada", number, 5 + number, np.roll(disc, number, axis=0))
    service.say("ada", 0, 4, -1)
    written = export_dataset(service, tmp_path / "export")
    assert (written.scans, written.slices, written.masks) == (3, 35, 3)
    project = service.project
    prepare(Means(service.collection.dataset.root, "liver", project.folder), SIZE, lambda n, of: None)
    store = project.places.cache / "fit.h5"
    counts = write_learning_store(store, project.places, quick=False, own_only=False)
    assert counts == {"yes": 17, "no": 18, "drawn": 3, "by_model": 0}
    assert load_table(written.folder, DataConfig(size=SIZE)).sha256() == open_store(store).sha256()


def test_a_model_is_evaluated_on_what_is_drawn_in_the_export(
    service: Service, disc: np.ndarray, tiny_run: Path, tmp_path: Path
) -> None:
    for number in range(2):
        service.mark("ada", number, 3, 8)
        service.draw("ada", number, 5, disc)
    service.say("ada", 0, 4, -1)
    written = export_dataset(service, tmp_path / "export")
    found = sammix.evaluate(tiny_run, written.folder, split="all").metrics
    assert (found["counts"]["slices"], found["counts"]["scored"]) == (24, 2)  # yes alone is no empty mask
    assert (found["presence"]["positive"], found["presence"]["negative"]) == (
        11,
        12,
    )  # nobody knows of the one left open


def test_labels_come_back_into_another_labelling(
    service: Service, make_service: Callable[..., Service], disc: np.ndarray, tmp_path: Path
) -> None:
    service.draw("ada", 0, 5, disc)
    service.say("ada", 0, 6, 0)
    written = export_dataset(service, tmp_path / "export")
    (case,) = open_dataset(written.folder).cases
    scan = read_slices(case)
    assert scan.labels.tolist() == [-1] * 5 + [1, 0] + [-1] * 5
    assert scan.truth is not None
    np.testing.assert_array_equal(scan.truth[5], disc)
    np.testing.assert_array_equal(scan.axial.array[5], service.opened(0).hu(5))
    own, drawn = nib.load(case.image), nib.load(case.mask)
    for kind in (
        "get_qform",
        "get_sform",
    ):  # a program that reads the one that another leaves out finds it all the same
        (affine, code), (expected, known) = (getattr(one, kind)(coded=True) for one in (drawn, own))
        assert code == known > 0
        np.testing.assert_allclose(affine, expected)
    told = (written.folder / "provenance.csv").read_text().splitlines()
    assert told[0] == "case,slice,label,label_how,mask_how,model,who,at"
    assert told[1].startswith("volume-0,5,1,drawn,drawn,,ada,20")


def test_single_slices_become_a_slice_table(make_service: Callable[..., Service], tmp_path: Path) -> None:
    data = tmp_path / "table"
    data.mkdir()
    rows = ["image,patient,liver,hu_min,hu_max,split"]
    rng = np.random.default_rng(0)
    for n in range(3):
        Image.fromarray(rng.integers(0, 255, (30, 40), np.uint8)).save(data / f"{n}.png")
        rows.append(f"{n}.png,p{n // 2},,-160,240,{['train', 'train', 'val'][n]}")
    (data / "slices.csv").write_text("\n".join(rows))
    service = make_service(data)
    mask = np.zeros((30, 40), bool)
    mask[4:9, 5:20] = True
    service.draw("ada", 0, 1, mask)
    service.say("ada", 1, 0, 0)
    written = export_dataset(service, tmp_path / "export")
    cases = open_dataset(written.folder).cases
    assert [(case.patient, case.label, case.split, case.mask is not None) for case in cases] == [
        ("p0", 1, "train", True),
        ("p1", 0, "val", False),
    ]
    scan = read_slices(cases[0])
    assert scan.truth is not None
    np.testing.assert_array_equal(scan.truth[0].astype(bool), mask)


def test_a_dicom_seg_says_whether_a_person_made_it(
    make_service: Callable[..., Service], write_series: Callable[..., Path], tmp_path: Path
) -> None:
    data = tmp_path / "study"
    write_series(data / "series", n=5)
    service = make_service(data)
    shape = service.opened(0).hu(0).shape
    mask = np.zeros(shape, bool)
    mask[2:4, 1:3] = True
    with pytest.raises(SammixError, match="no scan in DICOM has a drawing"):
        export_segmentations(service, tmp_path)
    service.draw("ada", 0, 2, mask)
    for kind in ("MANUAL", "SEMIAUTOMATIC"):
        export_segmentations(service, tmp_path / kind)
        (path,) = (tmp_path / kind).iterdir()
        segment = pydicom.dcmread(path).SegmentSequence[0]
        assert segment.SegmentAlgorithmType == kind
        service.draw("ada", 0, 3, mask, basis=service.issue(mask, "accepted", "model-1"))


def test_nothing_to_take_away_is_said(service: Service, tmp_path: Path) -> None:
    with pytest.raises(SammixError, match="nothing is labelled"):
        export_dataset(service, tmp_path / "export")


def test_each_export_has_a_folder_of_its_own(tmp_path: Path) -> None:
    assert len({new_folder(tmp_path) for _ in range(3)}) == 3
