from __future__ import annotations

import numpy as np

from sammix.io import open_dataset


def test_dicom_folders(tmp_path, write_series, write_nifti, pairs, marked):
    for patient in ("p1", "p2"):
        write_series(tmp_path / patient / "DICOM")
    write_nifti(tmp_path / "p1/liver.nii.gz", np.ones((4, 6, 5), np.uint8))
    (tmp_path / "notes").mkdir()
    dataset = open_dataset(tmp_path)
    assert dataset.layout == "DICOM folders"
    assert pairs(dataset) == {"p1": "p1/liver.nii.gz", "p2": None}
    assert dataset.problems == (
        "1 of 2 images have no mask: p2",
        "1 folders without dicom/ are left out: notes",
    )
    assert marked(dataset.cases[0]) == 120
    assert [c.name for c in open_dataset(tmp_path / "p1").cases] == ["p1"]
    assert open_dataset(tmp_path, organ="spleen").cases[0].mask is None
