from __future__ import annotations

from sammix.io import find_inputs, open_dataset


def test_kits(tmp_path, ct, mask, pairs, marked):
    for number in range(2):
        ct(tmp_path / f"case_0000{number}/imaging.nii.gz")
    mask(tmp_path / "case_00000/segmentation.nii.gz")
    mask(tmp_path / "case_00000/instances/kidney_instance-1_annotation-1.nii.gz")
    dataset = open_dataset(tmp_path)
    assert (dataset.layout, dataset.organ) == ("KiTS", "kidney")
    assert pairs(dataset) == {"case_00000": "case_00000/segmentation.nii.gz", "case_00001": None}
    assert dataset.problems == ("1 of 2 images have no mask: case_00001",)
    assert marked(dataset.cases[0]) == 3, "the kidney, its tumours and its cysts"
    assert [case.name for case in find_inputs(tmp_path).cases] == ["case_00000", "case_00001"]
    other = open_dataset(tmp_path, organ="liver")
    assert (other.organ, other.cases[0].usual) == ("liver", None)
    assert "show the kidney; they are taken as the liver, as asked" in other.problems[-1]
