"""The documentation's picture: slices of a synthetic patient with map, box and mask, by a model of yours.

python picture.py MODEL picture.png
"""

from __future__ import annotations

import sys
from io import BytesIO
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from sammix.data.display import display
from sammix.data.scan_slices import in_plane
from sammix.demo.phantoms import PORTAL, make_phantom
from sammix.io.volume import Volume
from sammix.models.saved import load_model
from sammix.networks.interface import MASK_THRESHOLD
from sammix.report.overlays import View, preview_strip

PATIENT = 12  # the seed of the phantom
SHARES = (0.35, 0.62)  # where in the liver the slices lie, from its inferior end


def main(model: Path, out: Path) -> None:
    """Segment a few slices of a phantom and draw them."""
    segmenter = load_model(model)
    phantom = make_phantom(PATIENT, PORTAL)
    scan = Volume(phantom.hu, phantom.affine).axial()
    truth = Volume((phantom.mask > 0).astype(np.uint8), phantom.affine).axial().array
    present = np.flatnonzero(truth.any(axis=(1, 2)))
    chosen = [int(present[round(share * (len(present) - 1))]) for share in reversed(SHARES)]
    images = segmenter.preprocess.images(scan.array[chosen], in_plane(scan))
    found = segmenter.segment(segmenter.encode(torch.from_numpy(images)[:, None]))
    assert found.cam is not None
    assert found.box is not None
    masks, cams, boxes = found.probability.numpy() >= MASK_THRESHOLD, found.cam.numpy(), found.box.numpy()
    views = [
        View.of(display(scan, index), f"synthetic CT\nslice {index}", mask=masks[i], cam=cams[i], box=boxes[i])
        for i, index in enumerate(chosen)
    ]
    strip = preview_strip(views)
    Image.open(BytesIO(strip)).convert("RGB").quantize(112).save(out, optimize=True)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:3]))
