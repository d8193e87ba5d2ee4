"""HU → window → [0, 1] → square grid, and back. The one preprocessing; its settings travel with the model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    from torch import Tensor

Spacing = tuple[float, float]
Values = TypeVar("Values", NDArray[np.float32], "Tensor")


class Preprocess(BaseModel):
    """Window-level and grid of the network's input (paper, section 3.2: 400/40 HU, 256²).

    A slice keeps its aspect: it is scaled so that its longer side, in mm, fills the grid, and padded
    to a square with 0 (the lower end of the window). Square slices with square pixels, as nearly
    every CT has, are simply resized, as in the paper.

    >>> Preprocess().images(np.full((1, 512, 512), 40.0)).mean()
    np.float32(0.5)
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    window_level: float = 40.0
    window_width: float = Field(default=400.0, gt=0)
    size: int = Field(default=256, ge=16, le=2048)

    def images(self, hu: NDArray[Any], spacing: Spacing = (1.0, 1.0)) -> NDArray[np.float32]:
        """Window and resize HU (N, H, W) to float32 (N, size, size) in [0, 1]. ``spacing`` is (row, column) in mm."""
        return self._to_grid(self.window(hu.astype(np.float32)), spacing)

    def window(self, hu: Values) -> Values:
        """HU of any shape → [0, 1]: what lies outside the window is drawn to its ends."""
        return ((hu - (self.window_level - self.window_width / 2)) / self.window_width).clip(0, 1)

    def hu(self, images: Values) -> Values:
        """Undo the window: values in [0, 1] of any shape → HU. What lay outside the window lies at its ends."""
        return images * self.window_width + (self.window_level - self.window_width / 2)

    def masks(self, mask: NDArray[Any], spacing: Spacing = (1.0, 1.0)) -> NDArray[np.uint8]:
        """Resize binary masks (N, H, W) to uint8 (N, size, size): a pixel is set where at least half of it was."""
        return (self._to_grid((mask > 0).astype(np.float32), spacing) >= 0.5).astype(np.uint8)

    def points(self, xy: NDArray[Any], shape: tuple[int, int], spacing: Spacing = (1.0, 1.0)) -> NDArray[np.float32]:
        """Find where points (N, 2) of a slice, x and y in its own px, lie on the grid: (N, 2) float32."""
        top, left, height, width = self._frame(shape, spacing)
        scale = np.array([width / shape[1], height / shape[0]])
        placed: NDArray[np.float32] = ((np.asarray(xy) + 0.5) * scale - 0.5 + (left, top)).astype(np.float32)
        return placed

    def restore(
        self, probability: NDArray[Any], shape: tuple[int, int], spacing: Spacing = (1.0, 1.0)
    ) -> NDArray[np.float32]:
        """Bring probabilities on the grid (N, size, size) back to the slice's own pixels: float32 (N, H, W)."""
        top, left, height, width = self._frame(shape, spacing)
        inner = np.asarray(probability, np.float32)[:, top : top + height, left : left + width]
        return _resize(inner, shape)

    def _to_grid(self, values: NDArray[np.float32], spacing: Spacing) -> NDArray[np.float32]:
        top, left, height, width = self._frame(values.shape[-2:], spacing)
        grid = np.zeros((len(values), self.size, self.size), np.float32)
        resized = _resize(values, (height, width))
        grid[:, top : top + height, left : left + width] = resized.clip(0, 1)
        return grid

    def _frame(self, shape: tuple[int, ...], spacing: Spacing) -> tuple[int, int, int, int]:
        """Compute where a slice of ``shape`` px lies on the grid: top, left, height, width in grid px."""
        extent = (shape[0] * spacing[0], shape[1] * spacing[1])
        height, width = (max(1, round(self.size * side / max(extent))) for side in extent)
        return (self.size - height) // 2, (self.size - width) // 2, height, width


def _resize(values: NDArray[np.float32], shape: tuple[int, int]) -> NDArray[np.float32]:
    """Resize (N, h, w) to (N, H, W), bilinear, with anti-aliasing where it shrinks."""
    if values.shape[-2:] == tuple(shape):
        return values
    import torch  # not above: `sammix info` knows windows and stores, and does without
    from torch.nn.functional import interpolate

    planes = torch.from_numpy(np.ascontiguousarray(values))[:, None]
    planes = interpolate(planes, size=shape, mode="bilinear", align_corners=False, antialias=True)
    resized: NDArray[np.float32] = planes[:, 0].numpy()
    return resized
