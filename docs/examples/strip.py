"""The README's picture: one slice of TotalSegmentator's example (Apache-2.0), by the shipped model.

python docs/examples/strip.py ct.nii.gz docs/images/strip.png
"""

from __future__ import annotations

import sys
from io import BytesIO
from pathlib import Path

from PIL import Image

from sammix.inference.scan import predict_volume
from sammix.io import read_volume
from sammix.io.volume import Volume
from sammix.models.saved import load_model
from sammix.report.overlays import View, preview_strip

SLICES = (95, 105)  # of the scan, in the upper half of its liver
SHOWN = 100


def main(scan: Path, out: Path) -> None:
    """Segment the scan's slices around the one that is shown, and draw that one: CT, map and box, mask."""
    volume = read_volume(scan)
    axial = volume.axial()
    lowest, highest = SLICES
    affine = axial.affine.copy()
    affine[:3, 3] = (axial.affine @ [lowest, 0, 0, 1])[:3]
    part = Volume(axial.array[lowest:highest], affine)
    found = predict_volume(load_model(Path("liver-ct-lite")), part)
    one = min(found.evidence, key=lambda each: abs(each.index + lowest - SHOWN))
    assert one.shown is not None
    view = View.of(one.shown, "CT", mask=one.mask, cam=one.cam, box=one.box)
    strip = Image.open(BytesIO(preview_strip([view]))).convert("RGB")
    strip.quantize(128).save(out, optimize=True)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:3]))
