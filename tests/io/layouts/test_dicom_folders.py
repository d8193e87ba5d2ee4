from __future__ import annotations

import numpy as np
import SimpleITK as sitk

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


def segmentation(path, *names):
    """As 3D Slicer names its segments, by ITK."""
    image = sitk.GetImageFromArray(np.ones((5, 6, 4), np.uint8))
    image.SetSpacing((0.7, 0.9, 2.0))
    image.SetOrigin((-10, -20, 30))
    for number, name in enumerate(names):
        image.SetMetaData(f"Segment{number}_Name", name)
        image.SetMetaData(f"Segment{number}_LabelValue", str(number + 1))
    sitk.WriteImage(image, str(path))


def test_segmentations_by_slicer_beside_the_series(tmp_path, write_series, pairs, marked):
    for patient in ("p1", "p2", "p3", "p4"):
        write_series(tmp_path / patient / "dicom")
    segmentation(tmp_path / "p1/liver.seg.nrrd", "Segment_1")
    segmentation(tmp_path / "p1/old.seg.nrrd", "liver")
    segmentation(tmp_path / "p2/Segmentation.seg.nrrd", "Liver", "spleen")
    segmentation(tmp_path / "p3/a.seg.nrrd", "spleen")
    segmentation(tmp_path / "p3/b.seg.nrrd", "liver")
    segmentation(tmp_path / "p4/a.seg.nrrd", "left")
    segmentation(tmp_path / "p4/b.seg.nrrd", "right")
    dataset = open_dataset(tmp_path)
    assert pairs(dataset) == {
        "p1": "p1/liver.seg.nrrd",
        "p2": "p2/Segmentation.seg.nrrd",
        "p3": "p3/b.seg.nrrd",
        "p4": None,
    }
    assert [case.labels for case in dataset.cases] == [("Segment_1",), ("Liver",), ("liver",), None]
    assert dataset.problems[-1] == "1 folders have several masks, none or many named liver; none is used: p4"
    assert marked(dataset.cases[1]) == 120


def test_masks_beside_the_series_under_common_names(tmp_path, write_series, write_nifti, pairs):
    for patient, name in {
        "p1": "mask.nii.gz",
        "p2": "segmentation.nii",
        "p3": "p3_seg.nii.gz",
        "p4": "other.nii",
    }.items():
        write_series(tmp_path / patient / "dicom")
        write_nifti(tmp_path / patient / name, np.ones((4, 6, 5), np.uint8))
    assert pairs(open_dataset(tmp_path)) == {
        "p1": "p1/mask.nii.gz",
        "p2": "p2/segmentation.nii",
        "p3": "p3/p3_seg.nii.gz",
        "p4": None,
    }
