from __future__ import annotations

import numpy as np
import SimpleITK as sitk

from sammix.io.readers.segments import organ_segments, says_organ


def test_only_files_that_name_segments_have_any(tmp_path):
    image = sitk.GetImageFromArray(np.ones((3, 4, 5), np.uint8))
    sitk.WriteImage(image, str(tmp_path / "a.nrrd"))
    sitk.WriteImage(image, str(tmp_path / "b.seg.nrrd"))
    for number, name in enumerate(("Liver left", "spleen")):
        image.SetMetaData(f"Segment{number}_Name", name)
        image.SetMetaData(f"Segment{number}_LabelValue", str(number + 1))
    sitk.WriteImage(image, str(tmp_path / "c.seg.nrrd"))
    (tmp_path / "d.nii").write_bytes(b"")
    names = ("a.nrrd", "b.seg.nrrd", "c.seg.nrrd", "d.nii")
    assert [organ_segments(tmp_path / name, "liver") for name in names] == [None, None, ("Liver left",), None]
    assert organ_segments(tmp_path / "c.seg.nrrd", "kidney") == ()
    assert says_organ(tmp_path / "c.seg.nrrd", "liver")
    assert not says_organ(tmp_path / "c.seg.nrrd", "kidney")


def test_one_segment_of_another_organ_is_not_taken(tmp_path):
    image = sitk.GetImageFromArray(np.ones((3, 4, 5), np.uint8))
    for name, expected in {
        "Segment_1": True,
        "Leber": True,
        "liver tumour": True,
        "spleen": False,
        "Tumor": False,
    }.items():
        image.SetMetaData("Segment0_Name", name)
        sitk.WriteImage(image, str(tmp_path / "a.seg.nrrd"))
        assert organ_segments(tmp_path / "a.seg.nrrd", "liver") == ((name,) if expected else ())
    assert says_organ(tmp_path / "a.seg.nrrd", "tumor")
    assert not says_organ(tmp_path / "a.seg.nrrd", "liver")
