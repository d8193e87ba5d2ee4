"""Paint an organ as other patients have it: darker, brighter, patchy, unenhanced, with lesions and cysts.

Few drawings show few livers. A fatty one is darker than its vessels, an early phase leaves it grey; a
tumour at its edge belongs to it. The mask says where the organ is: its appearance is changed, and the truth stays.
Levels are in HU; lengths are in px of the network's grid of 256 × 256 px (about 1.5 mm).
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

SMALLEST = 20  # px: of an organ less than that nothing can be seen
LEVEL = (20.0, 190.0)  # HU of an organ's tissue, from fat-laden without contrast to an early phase
FADING = 0.5  # the share of slices, with the organ or without, that lose contrast
FADED = (0.1, 0.8)  # how much contrast is left in a scan with less of it
FADES_TO = 50.0  # HU of soft tissue without contrast
BONE = 230.0  # HU, from which on nothing fades
VESSEL = 18.0  # HU above the organ's median
LESIONS = 5  # at most, in one slice
RADIUS = (2.5, 35.0)  # px of a lesion in a large organ
CYST = (-5.0, 25.0)  # HU
DIFFERENCE = (15.0, 70.0)  # HU between a lesion and its organ
RIM = (10.0, 50.0)  # HU


def paint(hu: Tensor, mask: Tensor, generator: torch.Generator) -> Tensor:
    """Show the organ of a slice in another appearance; its outline stays where it is.

    A slice without the organ may lose contrast, too: else a network learns that little contrast means an organ.

    Args:
        hu: (S, S) float32, in HU. mask: (S, S) 0/1, the organ.
        generator: the only source of chance.

    Returns:
        (S, S) float32 in HU. Where the mask has fewer than 20 px, the organ is not painted.

    >>> hu, mask = torch.full((64, 64), 100.0), torch.zeros(64, 64)
    >>> mask[16:48, 16:48] = 1
    >>> painted = paint(hu, mask, torch.Generator().manual_seed(1))
    >>> painted.shape, bool((painted != hu).any())
    (torch.Size([64, 64]), True)
    """
    if _one(generator) < FADING:
        hu = _faded(hu, generator)
    if mask.sum() < SMALLEST:
        return hu
    organ, soft = mask > 0, _blurred(mask.float(), 0.8)
    if _one(generator) < 0.8:
        hu = _tinted(hu, organ, soft, generator)
    if _one(generator) < 0.6:
        for _ in range(int(_one(generator) ** 2 * (LESIONS + 1))):
            hu = _with_lesion(hu, organ, soft, generator)
    return hu


def _faded(hu: Tensor, generator: torch.Generator) -> Tensor:
    """Take contrast out of all soft tissue, as in an early phase or without contrast medium."""
    bone = torch.sigmoid((hu - BONE) / 4)
    less = torch.where(hu > FADES_TO, FADES_TO + (hu - FADES_TO) * _one(generator, *FADED), hu)
    return less * (1 - bone) + hu * bone


def _tinted(hu: Tensor, organ: Tensor, soft: Tensor, generator: torch.Generator) -> Tensor:
    """Give the organ's tissue another level, evenly or in patches; its vessels may keep theirs."""
    median = hu[organ].median()
    change = torch.as_tensor(_one(generator, *LEVEL)) - median
    if _one(generator) < 0.4:  # uneven, as fat and perfusion are
        change = change * (1 + 0.5 * _field(len(hu), int(_one(generator, 3, 9)), generator)).clamp(0, 2)
    vessels = torch.sigmoid((_blurred(hu, 1.0) - median - VESSEL) / 5)
    kept = _one(generator) if _one(generator) < 0.6 else 0.0
    return hu + soft * change * (1 - kept * vessels)


def _with_lesion(hu: Tensor, organ: Tensor, soft: Tensor, generator: torch.Generator) -> Tensor:
    """Add a cyst, a darker or a brighter lesion, at the organ's edge as often as anywhere in it."""
    size, level = len(hu), float(hu[organ].median())
    distance, radius = _from_centre(organ, generator)
    body = torch.sigmoid((radius - distance) / _one(generator, 0.6, 1.5)) * soft
    kind, difference = _one(generator), _one(generator, *DIFFERENCE)
    cyst = kind < 0.35
    inside = _one(generator, *CYST) if cyst else level + (difference if kind >= 0.8 else -difference)
    texture = (2.0 if cyst else 12.0) * _field(size, 24, generator) + 5 * torch.randn(size, size, generator=generator)
    hu = hu * (1 - body) + (inside + texture) * body
    if not cyst and _one(generator) < 0.3:
        hu = hu + torch.exp(-(((distance - radius) / 1.5) ** 2)) * soft * _one(generator, *RIM)
    return hu


def _from_centre(organ: Tensor, generator: torch.Generator) -> tuple[Tensor, float]:
    """Draw a lesion's place and shape: each pixel's distance (S, S) from its centre, bent, and its radius, in px."""
    size = len(organ)
    rim = organ & (F.avg_pool2d(organ[None, None].float(), 7, 1, 3)[0, 0] < 0.95)
    places = (rim if _one(generator) < 0.5 and rim.any() else organ).nonzero()
    row, column = places[int(torch.randint(len(places), (1,), generator=generator))].tolist()
    small_organ = min(1.0, math.sqrt(int(organ.sum()) / 6000) + 0.3)
    radius = math.exp(_one(generator, *(math.log(r) for r in RADIUS))) * small_organ
    stretch, angle = _one(generator, 0.7, 1.4), _one(generator, 0, math.pi)
    y, x = torch.meshgrid(torch.arange(size) - row, torch.arange(size) - column, indexing="ij")
    along, across = x * math.cos(angle) + y * math.sin(angle), y * math.cos(angle) - x * math.sin(angle)
    bend = 1 + 0.15 * _field(size, 8, generator)
    return torch.sqrt((along / stretch) ** 2 + (across * stretch) ** 2) * bend, radius


def _field(size: int, cells: int, generator: torch.Generator) -> Tensor:
    """Draw a smooth random field (size, size) of standard deviation 1 or a little less."""
    coarse = torch.randn(1, 1, cells, cells, generator=generator)
    return F.interpolate(coarse, size=(size, size), mode="bicubic", align_corners=False)[0, 0]


def _blurred(values: Tensor, sigma: float) -> Tensor:
    """Blur (S, S) by a Gaussian of ``sigma`` px."""
    reach = max(1, int(3 * sigma))
    kernel = torch.exp(-(torch.arange(-reach, reach + 1).float() ** 2) / (2 * sigma**2))
    kernel = kernel / kernel.sum()
    padded = F.pad(values[None, None], (reach,) * 4, mode="replicate")
    return F.conv2d(F.conv2d(padded, kernel[None, None, :, None]), kernel[None, None, None, :])[0, 0]


def _one(generator: torch.Generator, low: float = 0.0, high: float = 1.0) -> float:
    return float(torch.rand(1, generator=generator)) * (high - low) + low
