"""What large voxels cost: each scan as it is, and resampled to voxels of 3 mm, mask and truth alike.

    python benchmarks/coarse_grid.py liver-ct-lite ../shared/data/chaos-ct-3 ../shared/data/radcttace

Every ``DATA`` is a folder of whole scans with masks, of any layout. HU are resampled by cubic splines, truths linearly
and cut at one half. Slices further apart than the new voxels stay as they are.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from sammix.data.scan_slices import read_slices
from sammix.evaluation.metrics import dice, surface_dice
from sammix.inference.scan import predict_volume
from sammix.io import open_dataset
from sammix.io.volume import Volume
from sammix.models.card import find_model
from sammix.models.devices import pick_device
from sammix.models.saved import load_model
from sammix.networks.interface import Segmenter

TOLERANCE_MM = 2.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="a run, a model's folder, or the name of one that comes with the package")
    parser.add_argument("data", type=Path, nargs="+")
    parser.add_argument("--voxel", type=float, default=3.0, help="mm")
    arguments = parser.parse_args()
    model = load_model(find_model(Path(arguments.model)), pick_device("auto"))
    print("| scan | voxels, mm | 3-D Dice | surface Dice at 2 mm |\n|---|---|---|---|")
    for path in arguments.data:
        for case in open_dataset(path).cases:
            with case.opened() as at_hand:
                scan = read_slices(at_hand)
            axial, truth = scan.volume.axial(), scan.truth
            assert truth is not None
            for volume, own in ((axial, truth > 0), coarser(axial, truth > 0, arguments.voxel)):
                print(f"| {case.name} | {row_of(model, volume, own)} |", flush=True)


def coarser(axial: Volume, truth: NDArray[Any], voxel: float) -> tuple[Volume, NDArray[np.bool_]]:
    """Resample a scan and its truth, both on their axial grid, to voxels of a side of ``voxel`` mm."""
    factors = np.minimum(1, np.array(axial.spacing) / voxel)
    hu, part = (
        ndimage.zoom(values.astype(np.float32), factors, order=order, grid_mode=True, mode="nearest")
        for values, order in ((axial.array, 3), (truth, 1))
    )
    affine = axial.affine.copy()
    affine[:3, :3] *= np.array(axial.array.shape) / hu.shape  # the first voxel moves a little, which matters to no Dice
    return Volume(np.rint(hu).astype(np.int16), affine), part >= 0.5


def row_of(model: Segmenter, volume: Volume, truth: NDArray[Any]) -> str:
    """A scan's cells of the table."""
    mask = predict_volume(model, volume).mask
    sides = " × ".join(f"{side:.2f}" for side in volume.spacing)
    return f"{sides} | {dice(mask, truth):.3f} | {surface_dice(mask, truth, volume.spacing, TOLERANCE_MM):.3f}"


if __name__ == "__main__":
    main()
