from __future__ import annotations

from sammix.io import open_dataset


def test_bids(tmp_path, ct, mask, pairs, marked):
    ct(tmp_path / "sub-01/ct/sub-01_ct.nii.gz")
    ct(tmp_path / "sub-02/ses-1/anat/sub-02_ses-1_ct.nii.gz")
    ct(tmp_path / "sub-02/ses-2/anat/sub-02_ses-2_ct.nii.gz")
    ct(tmp_path / "sub-03/ct/sub-03_ct.nii.gz")
    ct(tmp_path / "sub-03/anat/sub-03_T1w.nii.gz")
    derived = tmp_path / "derivatives/manual"
    mask(derived / "sub-01/sub-01_dseg.nii.gz")
    mask(derived / "sub-02/ses-2/sub-02_ses-2_space-orig_label-liver_mask.nii.gz")
    mask(derived / "sub-02/ses-2/sub-02_ses-2_label-spleen_mask.nii.gz")
    mask(derived / "sub-09/sub-09_dseg.nii.gz")
    (derived / "dseg.tsv").write_text("index\tname\tabbreviation\n1\tSpleen\tS\n2\tLiver\tL\n3\tLiver\tL\n")
    dataset = open_dataset(tmp_path)
    assert dataset.layout == "BIDS"
    assert pairs(dataset) == {
        "sub-01_ct": "derivatives/manual/sub-01/sub-01_dseg.nii.gz",
        "sub-02_ses-1_ct": None,
        "sub-02_ses-2_ct": "derivatives/manual/sub-02/ses-2/sub-02_ses-2_space-orig_label-liver_mask.nii.gz",
        "sub-03_ct": None,
    }
    assert [case.patient for case in dataset.cases] == ["sub-01", "sub-02", "sub-02", "sub-03"]
    assert marked(dataset.cases[0]) == 2
    assert dataset.problems == (
        "2 of 4 images have no mask: sub-02_ses-1_ct, sub-03_ct",
        "1 masks have no image: sub-09_dseg",
        "1 images are not called CT and are left out: sub-03_T1w",
    )


def test_folders_that_are_only_named_so(tmp_path, ct, mask, pairs):
    ct(tmp_path / "sub-01/sub-01_scan.nii.gz")
    mask(tmp_path / "sub-01/sub-01_liver.nii.gz")
    dataset = open_dataset(tmp_path)
    assert (dataset.layout, pairs(dataset)) == ("plain folder", {"sub-01_scan": "sub-01/sub-01_liver.nii.gz"})


def test_masks_beside_the_scan_and_two_of_them(tmp_path, ct, mask, pairs):
    ct(tmp_path / "sub-1/anat/sub-1_acq-a_ct.nii.gz")
    ct(tmp_path / "sub-1/anat/sub-1_ct.nii.gz")
    mask(tmp_path / "sub-1/anat/sub-1_acq-a_mask.nii.gz")
    assert pairs(open_dataset(tmp_path)) == {
        "sub-1_acq-a_ct": "sub-1/anat/sub-1_acq-a_mask.nii.gz",
        "sub-1_ct": None,
    }
    mask(tmp_path / "sub-1/anat/sub-1_acq-a_desc-other_mask.nii.gz")
    dataset = open_dataset(tmp_path)
    assert pairs(dataset) == {"sub-1_acq-a_ct": None, "sub-1_ct": None}
    assert any("sub-1_acq-a_ct.nii.gz has several masks" in problem for problem in dataset.problems)
