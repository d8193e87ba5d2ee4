"""The classifiers whose weights make the activation map (Zhou et al. 2016; the paper's eq. 2 to 4)."""

from __future__ import annotations

import math

import torch
import torch.distributed as distributed
import torch.nn.functional as F
from torch import Tensor, nn

from sammix.networks.processes import several_processes

PRESENT = 1
"""The class "the slice shows the organ"; class 0 is "it does not"."""


class CAMClassifier(nn.Module):
    """A feature extractor, global average pooling and a bias-free linear layer.

    The layer is applied at every position and its results averaged: without a bias that is the same as
    classifying the averaged features (eq. 2), and the map of class "present" is the activation map (eq. 4).

    Args:
        extractor: (B, …) → feature maps (B, channels, h, w).
        channels: of the feature maps.
        reads_slices: it takes slices (B, 1, S, S), not SAM's frozen features.
    """

    gives_logits = False

    def __init__(self, extractor: nn.Module, channels: int, reads_slices: bool = False) -> None:
        super().__init__()
        self.extractor, self.reads_slices = extractor, reads_slices
        self.head = nn.Linear(channels, 2, bias=False)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """What the extractor takes → class logits (B, 2) and the map Σ w_i F_i of "present" (B, h, w)."""
        maps: Tensor = self.head(self.extractor(x).movedim(1, -1))
        return maps.mean((1, 2)), maps[..., PRESENT]


def pooled_classifier(in_channels: int = 320, width: int = 128, dropout: float = 0.1) -> CAMClassifier:
    """Two convolutions on SAM's frozen features, pooled: where masks do not teach the map, this one shows the organ.

    The average over positions rewards every position that is right about the class, where the strongest ones alone
    need not show more than a part of the organ. Nothing tells a position of any but its nearest neighbours, not even a
    norm, so a position can be right only for what is to be seen there.

    Args:
        in_channels: of the halved features (see :func:`halve`).
        width: channels of both convolutions.
        dropout: share of the features' channels left out in training.
    """
    return CAMClassifier(
        nn.Sequential(
            FeatureNorm2d(in_channels),
            nn.Dropout2d(dropout),
            nn.Conv2d(in_channels, width, 3, padding=1),
            nn.GELU(),
            nn.Conv2d(width, width, 3, padding=1),
            nn.GELU(),
        ),
        width,
    )


class FeatureNorm2d(nn.BatchNorm2d):
    """Batch normalisation of frozen features: in training with the statistics of all processes' slices.

    No gradient runs through the statistics, since none is needed of frozen features. So this works on any device,
    where ``torch.nn.SyncBatchNorm`` needs CUDA.
    """

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, h, w) without gradient → the same shape."""
        if not (self.training and several_processes()):
            return super().forward(x)
        planes = x.detach().double()
        sums = torch.cat([planes.sum((0, 2, 3)), planes.square().sum((0, 2, 3)), planes.new_tensor([x.numel()])])
        distributed.all_reduce(sums)
        count = sums[-1] / self.num_features
        mean, square = (part / count for part in sums[:-1].chunk(2))
        variance = square - mean.square()
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        self.num_batches_tracked.add_(1)
        self.running_mean.lerp_(mean.to(self.running_mean), self.momentum or 0.1)
        self.running_var.lerp_((variance * count / (count - 1)).to(self.running_var), self.momentum or 0.1)
        return F.batch_norm(x, mean.to(x), variance.to(x), self.weight, self.bias, eps=self.eps)


def halve(features: Tensor) -> Tensor:
    """(B, C, h, w) of SAM's frozen stages → (B, C, h/2, w/2) float32, what a classifier on them reads."""
    return F.avg_pool2d(features, 2).float()


class SharedClassifier(nn.Module):
    """The classifier on SAM's frozen features: a small U-Net, then one linear layer at every position.

    It reads the features at half their resolution (:func:`halve`), and maps at all of it.

    The layer's answers are the map: at each position a logit, above 0 for "the organ is here". The class logit is the
    mean of the strongest positions, since "somewhere in the slice" is what a yes/no label says; an average over all of
    them would let the slice outvote a thin tip of the organ.

    Args:
        in_channels: of the features (LiteMedSAM's third stage gives 320), whose scales differ by two orders of
            magnitude and are standardised first.
        width: channels at the first level; twice as many further down.
        strongest: the share of positions that decide the class.
        dropout: share of the features' channels left out in training.
    """

    reads_slices, gives_logits = False, True

    def __init__(
        self, in_channels: int = 320, width: int = 64, strongest: float = 1 / 256, dropout: float = 0.1
    ) -> None:
        super().__init__()
        self.strongest = strongest
        self.standardise = nn.Sequential(FeatureNorm2d(in_channels), nn.Dropout2d(dropout))
        self.reduce = _convolution(in_channels, width, kernel=1)
        self.fine = _convolution(width, width)
        self.middle = nn.Sequential(_convolution(width, 2 * width, stride=2), _convolution(2 * width, 2 * width))
        self.coarse = nn.Sequential(
            _convolution(2 * width, 2 * width, stride=2),
            _convolution(2 * width, 2 * width),
            _convolution(2 * width, 2 * width),
        )
        self.join_middle = _convolution(4 * width, 2 * width)
        self.join_fine = _convolution(3 * width, width)
        self.head = nn.Conv2d(width, 1, 1)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """(B, in_channels, h, w) → class logits (B, 2), "absent" being 0, and the map's logits (B, 2h, 2w)."""
        fine = self.fine(self.reduce(self.standardise(features)))
        middle = self.middle(fine)
        middle = self.join_middle(torch.cat([_enlarge(self.coarse(middle), middle), middle], dim=1))
        fine = self.join_fine(torch.cat([_enlarge(middle, fine), fine], dim=1))
        logits = F.interpolate(self.head(fine), scale_factor=2, mode="bilinear", align_corners=False)[:, 0].float()
        count = max(1, round(self.strongest * logits[0].numel()))
        present = logits.flatten(1).topk(count, dim=1).values.mean(dim=1)
        return torch.stack([torch.zeros_like(present), present], dim=1), logits


def _convolution(before: int, after: int, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(before, after, kernel, stride, padding=kernel // 2, bias=False),
        nn.GroupNorm(math.gcd(after, 8), after),
        nn.GELU(),
    )


def _enlarge(x: Tensor, like: Tensor) -> Tensor:
    return F.interpolate(x, size=like.shape[-2:], mode="bilinear", align_corners=False)
