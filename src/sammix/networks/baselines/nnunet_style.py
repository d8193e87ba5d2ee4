"""nnU-Net's 2-D network and its training tricks (Isensee et al., Nature Methods 2021) under the paper's schedule.

It is MONAI's DynUNet with the plan that nnU-Net makes for 256² slices. What nnU-Net itself adds, five folds, its own
schedule and preprocessing, is left out; :mod:`sammix.reproduce.nnunet_v2` runs the real one.
"""

from __future__ import annotations

import math

from torch import Tensor, nn

from sammix.errors import needs_extra
from sammix.networks.baselines.baseline import BaselineOutput

COARSEST = 4  # px, side of the lowest level
WIDEST = 512


class NNUNetStyle(nn.Module):
    """Levels until the slice is 4 px wide, 32 channels doubled up to 512, deep supervision on all but the two lowest.

    33.46 M parameters at 256².

    Args:
        size: side of the slices in px, a power of two of at least 32.
        width: factor on all channel counts.

    Raises:
        MissingExtraError: MONAI or nnU-Net's augmentation is not installed.
    """

    def __init__(self, size: int = 256, width: float = 1.0) -> None:
        super().__init__()
        with needs_extra("baselines", "the nnunet-style network"):
            import batchgeneratorsv2  # noqa: F401  for its training: fail here, not after the data have been read
            from monai.networks.nets.dynunet import DynUNet

        levels = int(math.log2(size // COARSEST)) + 1
        filters = [max(2, round(min(32 * 2**level, WIDEST) * width)) for level in range(levels)]
        self.network = DynUNet(
            spatial_dims=2,
            in_channels=1,
            out_channels=2,
            kernel_size=[3] * levels,
            strides=[1] + [2] * (levels - 1),
            upsample_kernel_size=[2] * (levels - 1),
            filters=filters,
            deep_supervision=True,
            deep_supr_num=levels - 2,
        )

    def forward(self, images: Tensor) -> BaselineOutput:
        """(B, 1, S, S) in [0, 1] → masks; in training one a supervised level, all of full size."""
        logits: Tensor = self.network(images)
        levels = logits if self.training else logits[:, None]
        return BaselineOutput((levels[:, :, 1] - levels[:, :, 0]).float(), None)
