"""A student: a small U-Net that learns from a trained model's answers, and gives a mask, a map and a presence.

It has no prompts. Its map is made of its coarser features by a head of its own, so that where map and mask contradict
each other, one of them is wrong, as with its teacher. It may also take its place in SAM-Mix, as the classifier.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sammix.data.preprocess import Preprocess
from sammix.networks.interface import PromptSource, SlicePrediction
from sammix.networks.prompts import enlarge
from sammix.networks.unprompted import Unprompted

WIDTHS = (16, 32, 64, 128, 160)
"""Channels at 1/2, 1/4, … 1/32 of the slice's size: 1.68 M parameters."""

STRONGEST = 1 / 256
"""The share of the map's positions that decide the presence: "somewhere in the slice" is what a yes says."""


@dataclass(frozen=True)
class StudentOutput:
    """What a student says of B slices, as logits.

    Attributes:
        mask: (B, S, S) float32, the organ's pixels.
        map: (B, S/4, S/4) float32, where the organ is, coarsely.
        presence: (B,) float32, whether the slice shows the organ.
    """

    mask: Tensor
    map: Tensor
    presence: Tensor


class StudentUNet(nn.Module):
    """Five levels of residual blocks, of which the first works on 2 × 2 px at once.

    Args:
        width: factor on all channel counts.
    """

    def __init__(self, width: float = 1.0) -> None:
        super().__init__()
        widths = [max(1, round(channels * width)) for channels in WIDTHS]
        self.down = nn.ModuleList(
            _Residual(before, after, stride=1 if level == 0 else 2)
            for level, (before, after) in enumerate(zip([4, *widths], widths, strict=False))
        )
        self.bottom = _Residual(widths[-1], widths[-1])
        pairs = zip(widths[:0:-1], widths[-2::-1], strict=True)
        self.up = nn.ModuleList(_convolution(below + beside, beside) for below, beside in pairs)
        self.map_head = nn.Conv2d(widths[1], 1, 1)
        self.mask_head = nn.Conv2d(widths[0], 4, 3, padding=1)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, images: Tensor) -> StudentOutput:
        """(B, 1, S, S) in [0, 1], S a multiple of 32 → logits."""
        x = F.pixel_unshuffle(images, 2).contiguous(memory_format=torch.channels_last)
        x = x.to(self.mask_head.weight.dtype)
        levels = []
        for block in self.down:
            x = block(x)
            levels.append(x)
        x = coarse = self.bottom(x)
        for join, beside in zip(self.up, levels[-2::-1], strict=True):
            coarse = x
            x = join(torch.cat([F.interpolate(x, size=beside.shape[-2:], mode="nearest"), beside], dim=1))
        map_logits = self.map_head(coarse)[:, 0].float()
        strongest = map_logits.flatten(1).topk(max(1, round(STRONGEST * map_logits[0].numel())), dim=1).values
        return StudentOutput(F.pixel_shuffle(self.mask_head(x), 2)[:, 0].float(), map_logits, strongest.mean(dim=1))


class Student(Unprompted[StudentOutput]):
    """A student behind the interface of all networks.

    Args:
        network: (B, 1, S, S) in [0, 1] → logits.
        preprocess: how slices are made for it: as for its teacher.
        presence_offset: nats that a yes to a slice of a scan must be above (``model.presence_offset``).
        name: what outputs call it.
    """

    def __init__(
        self, network: StudentUNet, preprocess: Preprocess, presence_offset: float = 0.0, name: str = "student"
    ) -> None:
        super().__init__(network, preprocess, name)
        self._presence_offset = presence_offset

    @property
    def presence_offset(self) -> float:
        """As it was given."""
        return self._presence_offset

    @torch.inference_mode()
    def segment(
        self, encoding: StudentOutput, boxes: Tensor | None = None, prompt: PromptSource = "cam"
    ) -> SlicePrediction:
        """The masks with map and presence, whatever prompt is offered."""
        cam = enlarge(encoding.map, self.preprocess.size).sigmoid()
        return SlicePrediction(encoding.mask.sigmoid(), encoding.presence.sigmoid(), cam, box=None, prompt="none")

    def cast_encoder(self, dtype: torch.dtype) -> None:
        """Hold all of it in ``dtype``."""
        self.to(dtype)


class StudentClassifier(nn.Module):
    """A student as the classifier whose map prompts SAM: its mask is the map.

    Args:
        network: the student.
    """

    reads_slices, gives_logits = True, True

    def __init__(self, network: StudentUNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """(B, 1, S, S) in [0, 1] → class logits (B, 2), "absent" being 0, and the map's logits (B, S, S)."""
        output: StudentOutput = self.network(images)
        return torch.stack([torch.zeros_like(output.presence), output.presence], dim=1), output.mask


class _Residual(nn.Module):
    """Two 3 × 3 convolutions and a way around them."""

    def __init__(self, before: int, after: int, stride: int = 1) -> None:
        super().__init__()
        self.first = _convolution(before, after, stride)
        self.second = nn.Sequential(nn.Conv2d(after, after, 3, padding=1, bias=False), nn.BatchNorm2d(after))
        same = before == after and stride == 1
        around = nn.Sequential(nn.Conv2d(before, after, 1, stride, bias=False), nn.BatchNorm2d(after))
        self.around: nn.Module = nn.Identity() if same else around

    def forward(self, x: Tensor) -> Tensor:
        """(B, before, h, w) → (B, after, h/stride, w/stride)."""
        return F.relu(self.second(self.first(x)) + self.around(x))


def _convolution(before: int, after: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(before, after, 3, stride, padding=1, bias=False), nn.BatchNorm2d(after), nn.ReLU(inplace=True)
    )
