from __future__ import annotations

import numpy as np
import SimpleITK as sitk

from sammix.io.readers.segments import organ_segments


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
