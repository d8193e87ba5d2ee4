"""SAM-PP, SAM as post-processing: the paper's two-stage form of SAM-Mix.

A classifier is trained first. Then SAM is tuned, separately, on what that classifier's maps prompt it with; nothing of
this reaches the classifier any more. With no annotated slices (SAM-PP-0) SAM stays as it came.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from torch import Tensor

from sammix.networks.sam_mix import Classification, SAMMix


class SAMPP(SAMMix):
    """SAM-Mix's network without the way back: no gradient runs from the masks through the map to the classifier."""

    def classify(self, images: Tensor, coarse: Callable[[], Tensor]) -> Classification:
        """As :meth:`SAMMix.classify`, with the map detached."""
        found = super().classify(images, coarse)
        logits = None if found.map_logits is None else found.map_logits.detach()
        return replace(found, cam=found.cam.detach(), map_logits=logits)
