"""The augmentation of nnU-Net v2's default 2-D trainer (Isensee et al. 2021), made of its own library's transforms.

nnU-Net augments z-scores, and sammix has slices in [0, 1]. So rotation and scaling are done on the slices as they are,
where 0 outside the frame is air. The intensities are then varied as z-scores of each slice and brought back.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, NamedTuple

import torch
from numpy.random import MT19937
from numpy.random.mtrand import get_bit_generator, set_bit_generator
from torch import Tensor

from sammix.errors import needs_extra


class _Transforms(NamedTuple):
    """What takes ``image`` (1, S, S) and ``segmentation`` (1, S, S), and returns both in a dictionary."""

    move: Callable[..., Any]
    vary: Callable[..., Any]


def nnunet_augment(images: Tensor, masks: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Make one random view of each slice.

    The library draws from the global random numbers of numpy and torch. They are replaced meanwhile, so that no other
    thread may draw from them, and are as they were afterwards.

    Args:
        images: (B, 1, S, S) float32 in [0, 1].
        masks: (B, S, S) uint8 0/1.
        generator: the only source of chance, on the CPU.

    Returns:
        New images and masks of the same shapes and dtypes, on the devices of the old.

    Raises:
        MissingExtraError: batchgeneratorsv2 is not installed.
    """
    transforms = _transforms(images.shape[-1])
    seen, truth = torch.empty_like(images, device="cpu"), torch.empty_like(masks, device="cpu")
    with _chance_from(generator):
        for row, (image, mask) in enumerate(zip(images.cpu(), masks.cpu(), strict=True)):
            moved = transforms.move(image=image, segmentation=mask[None])
            mean, spread = moved["image"].mean(), moved["image"].std()
            z_scores = (moved["image"] - mean) / spread.clamp_min(1e-8)  # a slice of one value has no spread
            view = transforms.vary(image=z_scores, segmentation=moved["segmentation"])
            seen[row], truth[row] = (view["image"] * spread + mean).clamp(0, 1), view["segmentation"][0]
    return seen.to(images), truth.to(masks)


@cache
def _transforms(size: int) -> _Transforms:
    """Make nnU-Net v2's transforms in its order, with its probabilities and ranges, for S = ``size`` px.

    The library's benchmark of the blur stays off: it chooses by the clock, and so does not repeat exactly.
    """
    with needs_extra("baselines", "nnU-Net's augmentation"):
        from batchgeneratorsv2.transforms.intensity.brightness import MultiplicativeBrightnessTransform as Brightness
        from batchgeneratorsv2.transforms.intensity.contrast import BGContrast, ContrastTransform
        from batchgeneratorsv2.transforms.intensity.gamma import GammaTransform
        from batchgeneratorsv2.transforms.intensity.gaussian_noise import GaussianNoiseTransform
        from batchgeneratorsv2.transforms.noise.gaussian_blur import GaussianBlurTransform
        from batchgeneratorsv2.transforms.spatial.low_resolution import SimulateLowResolutionTransform as LowResolution
        from batchgeneratorsv2.transforms.spatial.mirroring import MirrorTransform
        from batchgeneratorsv2.transforms.spatial.spatial import SpatialTransform
        from batchgeneratorsv2.transforms.utils.compose import ComposeTransforms
        from batchgeneratorsv2.transforms.utils.random import RandomTransform as Sometimes

    frame = {"patch_size": (size, size), "patch_center_dist_from_border": 0, "random_crop": False}
    rotation = {"p_rotation": 0.2, "rotation": (-math.pi, math.pi)}
    scaling = {"p_scaling": 0.2, "scaling": (0.7, 1.4), "p_synchronize_scaling_across_axes": 1}
    factor, gamma = BGContrast((0.75, 1.25)), BGContrast((0.7, 1.5))
    coarse = {"synchronize_axes": True, "ignore_axes": None}
    own, half = ({"synchronize_channels": False, "p_per_channel": share} for share in (1, 0.5))
    vary = [
        Sometimes(GaussianNoiseTransform((0, 0.1), synchronize_channels=True), 0.1),
        Sometimes(GaussianBlurTransform((0.5, 1.0), benchmark=False, **half), 0.2),
        Sometimes(Brightness(factor, **own), 0.15),
        Sometimes(ContrastTransform(factor, preserve_range=True, **own), 0.15),
        Sometimes(LowResolution((0.5, 1), **coarse, **half), 0.25),
        Sometimes(GammaTransform(gamma, p_invert_image=1, p_retain_stats=1, **own), 0.1),
        Sometimes(GammaTransform(gamma, p_invert_image=0, p_retain_stats=1, **own), 0.3),
        MirrorTransform((0, 1)),
    ]
    return _Transforms(SpatialTransform(**frame, **rotation, **scaling), ComposeTransforms(vary))


@contextmanager
def _chance_from(generator: torch.Generator) -> Iterator[None]:
    """Let the global random numbers, which the library draws from, follow ``generator``; restore them afterwards."""
    seed = int(torch.randint(2**32, (), generator=generator))
    of_numpy, of_python, of_torch = get_bit_generator(), random.getstate(), torch.get_rng_state()
    try:
        set_bit_generator(MT19937(seed))
        random.seed(seed)
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would seed the GPUs as well
        yield
    finally:
        set_bit_generator(of_numpy)
        random.setstate(of_python)
        torch.set_rng_state(of_torch)
