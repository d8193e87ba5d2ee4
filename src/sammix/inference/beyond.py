"""What a quick classifier says of all slices of a scan, at first glance; and which slices need no mask after it.

Most slices of a scan do not show the organ, and what they get is emptied in the end. A student in the classifier's
place costs a small part of SAM. So it is asked first. The organ's extent follows from its answers alone; slices beyond
it, and beyond the reach of those within, go no further.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import torch
from numpy.typing import NDArray

from sammix.inference.assemble import within_reach
from sammix.inference.extent import find_extent
from sammix.inference.gaps import glanced_stride
from sammix.inference.slices import Slice, batches_of, images_of, reach_mm, weighed
from sammix.networks.interface import PRESENCE_THRESHOLD, Glancing, Segmenter, SlicePrediction


@torch.inference_mode()
def glances(segmenter: Segmenter, slices: Iterable[Slice], batch_size: int) -> Iterator[SlicePrediction]:
    """Glance at slices, a few at a time; nothing where the segmenter has no quick classifier.

    Args:
        slices: of a scan; may be lazy.
    """
    if not isinstance(segmenter, Glancing):
        return
    for batch in batches_of(slices, batch_size):
        found = segmenter.glance(images_of(batch))
        if found is None:
            return
        yield weighed(found, batch, segmenter.presence_offset)


def beyond_the_organ(segmenter: Segmenter, presence: NDArray[np.float32], step_mm: float) -> NDArray[np.bool_]:
    """Find the slices (n,) that need no mask. The scan's mask is the same without them.

    Slices to which the classifier says yes are not among them, so that it can be told what is emptied of their masks.

    Args:
        presence: (n,) in [0, 1], what the quick classifier says of all slices, ascending.
        step_mm: between them.
    """
    shown = find_extent(presence, step_mm).inside | (presence >= PRESENCE_THRESHOLD)
    return ~within_reach(shown, glanced_reach_mm(segmenter, step_mm), step_mm)


def glanced_reach_mm(segmenter: Segmenter, step_mm: float) -> float:
    """Tell how far apart two slices may lie, after a glance, and still prompt each other.

    Where slices are left out, those of the first round are to have neighbours all the same.
    """
    own, stride = reach_mm(segmenter), glanced_stride(step_mm)
    return max(own, stride * step_mm) if own and stride > 1 else own
