"""Which slices of a scan need no mask: a quick classifier alone tells where the organ ends.

Most slices of a scan do not show the organ, and what they get is emptied in the end. A student in the classifier's
place costs a hundredth of SAM. So it is asked first. The organ's extent follows from its answers alone; slices beyond
it, and beyond the reach of those within, go no further.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch

from sammix.inference.assemble import within_reach
from sammix.inference.extent import find_extent
from sammix.inference.slices import Slice, batches_of, images_of, reach_mm, weighed
from sammix.networks.interface import PRESENCE_THRESHOLD, Glancing, Segmenter


@torch.inference_mode()
def beyond_the_organ(
    segmenter: Segmenter, slices: Iterable[Slice], batch_size: int, step_mm: float
) -> dict[int, float]:
    """Find the slices that need no mask, with their presence. The scan's mask is the same without them.

    Args:
        slices: all of a scan, ascending; may be lazy.
        step_mm: between them.

    Returns:
        By index; none where the segmenter has no quick classifier. Slices to which the classifier says yes are not
        among them, so that it can be told what is emptied of their masks.
    """
    if not isinstance(segmenter, Glancing):
        return {}
    presence = list[float]()
    for batch in batches_of(slices, batch_size):
        found = segmenter.glance(images_of(batch))
        if found is None:
            return {}
        presence += weighed(found, batch, segmenter.presence_offset).presence.tolist()
    said = np.asarray(presence, np.float32)
    shown = find_extent(said, step_mm).inside | (said >= PRESENCE_THRESHOLD)
    needed = within_reach(shown, reach_mm(segmenter), step_mm)
    return {int(i): presence[i] for i in np.flatnonzero(~needed)}
