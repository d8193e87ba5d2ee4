"""MultiMix (Haque et al., ISBI 2021) without its proxy labels, as the paper compares with it."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sammix.networks.baselines.baseline import BaselineOutput
from sammix.networks.baselines.unet import UNet

REDUCTION = 8  # of the bridge: the side of the first decoder stage


class MultiMix(nn.Module):
    """A U-Net whose encoder classifies too; a saliency bridge tells the decoder where the classifier looked.

    1.965 M parameters. The bridge is the slice and the saliency |∂ max-logit / ∂x|, both reduced 8 times. The
    saliency is scaled to a maximum of 1 in each slice, so that it does not fade as the classifier grows sure.

    Args:
        width: factor on all channel counts.
    """

    def __init__(self, width: float = 1.0) -> None:
        super().__init__()
        self.unet = UNet(width, bridge_channels=2)
        self.classifier = nn.Linear(self.unet.out_channels, 2)

    def forward(self, images: Tensor) -> BaselineOutput:
        """(B, 1, S, S) in [0, 1] → masks and classes. Works where gradients are switched off, too."""
        with torch.inference_mode(False), torch.enable_grad():
            seen = images.detach().clone().requires_grad_()
            features = self.unet.encode(seen)
            class_logits = self.classifier(F.max_pool2d(features[-1], 2).mean(dim=(2, 3)))
            (gradient,) = torch.autograd.grad(class_logits.amax(dim=1).sum(), seen, retain_graph=self.training)
        saliency = gradient.abs()
        saliency = saliency / saliency.amax(dim=(2, 3), keepdim=True).clamp_min(1e-12)
        bridge = F.avg_pool2d(torch.cat([images, saliency], dim=1), REDUCTION)
        return BaselineOutput(self.unet.decode(features, bridge), class_logits)
