"""Measure how well a mask fits its truth, and a classifier its labels, in numpy. A miss counts and is never NaN.

Conventions, the same for every metric of two masks:

* Both empty: there is nothing to measure, the value is ``None`` and the slice is left out of any mean.
* One empty: overlap is 0 and distance is the grid's diagonal (362.04 px at 256²), the worst there can be.
* A mask's boundary is its pixels that have a background pixel, or the frame's edge, beside them (4 neighbours
  in 2-D, 6 in 3-D); distances run between the centres of boundary pixels. MONAI measures the same way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage
from scipy.spatial import cKDTree
from scipy.stats import rankdata

Mask = NDArray[Any]
_ROUNDING = 1e-6  # mm: slices 2.0000001 mm apart are within 2 mm of each other
_TREE_COST = 40  # looking one point up in a tree costs about as much as the distance transform of 40 voxels


def dice(pred: Mask, truth: Mask) -> float | None:
    """Compute 2·|P ∩ T| / (|P| + |T|) of two masks of one shape; None where both are empty.

    >>> dice(np.array([1, 1, 0, 0]), np.array([0, 1, 1, 0]))
    0.5
    """
    pred, truth = _pair(pred, truth)
    total = np.count_nonzero(pred) + np.count_nonzero(truth)
    return None if total == 0 else float(2 * np.count_nonzero(pred & truth) / total)


def hausdorff(pred: Mask, truth: Mask, spacing: Sequence[float] | None = None, percentile: float = 100) -> float | None:
    """Compute the symmetric Hausdorff distance of two masks' boundaries: the larger of the two directions.

    With a percentile below 100 it is the larger of the two directed percentiles (linear interpolation), as in
    MONAI; some tools pool both directions first, which gives smaller values. At 100 it equals SimpleITK's
    distance of the two boundaries.

    Args:
        pred, truth: masks of one shape, 2-D or 3-D.
        spacing: of a pixel along each axis, in mm; None: distances in px.
        percentile: 100 for the maximum, 95 for HD95.

    Returns:
        mm or px; the grid's diagonal where one mask is empty; None where both are.
    """
    return compare_surfaces(pred, truth, spacing).hausdorff(percentile)


def surface_dice(
    pred: Mask, truth: Mask, spacing: Sequence[float] | None = None, tolerance_mm: float = 2.0
) -> float | None:
    """Compute which share of both boundaries is within ``tolerance_mm`` of the other (Nikolov et al. 2018, in voxels).

    0 where one mask is empty, None where both are.
    """
    return compare_surfaces(pred, truth, spacing).dice(tolerance_mm)


@dataclass(frozen=True, eq=False)
class Surfaces:
    """Distances between two boundaries, measured once for every figure that needs them.

    Attributes:
        pred_to_truth: (n,) from each boundary pixel of the prediction to the nearest of the truth; mm or px.
        truth_to_pred: (m,) the other way.
        diagonal: of the whole grid. Where one mask is empty, all distances of the other are this.
    """

    pred_to_truth: NDArray[np.float64]
    truth_to_pred: NDArray[np.float64]
    diagonal: float

    def hausdorff(self, percentile: float = 100) -> float | None:
        """See :func:`hausdorff`."""
        directed = [np.percentile(d, percentile) for d in (self.pred_to_truth, self.truth_to_pred) if d.size]
        return float(max(directed)) if directed else None

    def dice(self, tolerance: float) -> float | None:
        """See :func:`surface_dice`."""
        both = np.concatenate([self.pred_to_truth, self.truth_to_pred])
        if not both.size:
            return None
        if not (self.pred_to_truth.size and self.truth_to_pred.size):
            return 0.0
        return float(np.mean(both <= tolerance + _ROUNDING))


def compare_surfaces(pred: Mask, truth: Mask, spacing: Sequence[float] | None = None) -> Surfaces:
    """Compute the distances between two masks' boundaries, within their common bounding box."""
    pred, truth = _pair(pred, truth)
    steps = np.ones(pred.ndim) if spacing is None else np.asarray(spacing, float)
    if steps.shape != (pred.ndim,):
        raise ValueError(f"spacing must give {pred.ndim} values, one an axis, not {steps.size}")
    diagonal = float(np.linalg.norm(steps * pred.shape))
    frame = _bounding_box(pred | truth)
    pred_edge, truth_edge = _boundary(pred[frame]), _boundary(truth[frame])
    return Surfaces(
        _distances(pred_edge, truth_edge, steps, diagonal),
        _distances(truth_edge, pred_edge, steps, diagonal),
        diagonal,
    )


def mask_box(mask: Mask) -> NDArray[np.float32] | None:
    """Find the tight box (x_min, y_min, x_max, y_max) of a 2-D mask in px, inclusive (eq. 8); None if empty.

    >>> mask_box(np.pad(np.ones((2, 3)), 1)).tolist()
    [1.0, 1.0, 3.0, 2.0]
    """
    if not np.any(mask):
        return None
    rows, columns = _bounding_box(mask > 0)
    return np.array([columns.start, rows.start, columns.stop - 1, rows.stop - 1], np.float32)


def box_iou(a: ArrayLike, b: ArrayLike) -> float:
    """Compute the intersection over union of two inclusive boxes (x_min, y_min, x_max, y_max) in px.

    >>> box_iou([0, 0, 1, 1], [1, 0, 2, 1])
    0.3333333333333333
    """
    first, second = np.asarray(a, float), np.asarray(b, float)
    sides = np.minimum(first[2:], second[2:]) - np.maximum(first[:2], second[:2]) + 1
    overlap = float(np.prod(np.maximum(sides, 0)))
    areas = sum(float(np.prod(box[2:] - box[:2] + 1)) for box in (first, second))
    return overlap / (areas - overlap)


def roc_auc(label: ArrayLike, score: ArrayLike) -> float | None:
    """Compute the area under the ROC curve by ranks (Mann-Whitney), ties counting half; None without both classes.

    The order of arguments is scikit-learn's.

    >>> roc_auc([0, 0, 1, 1], [0.1, 0.5, 0.5, 0.9])
    0.875
    """
    truth = np.asarray(label) > 0
    positive, negative = int(truth.sum()), int((~truth).sum())
    if not (positive and negative):
        return None
    ranks = float(rankdata(np.asarray(score, float))[truth].sum())
    return (ranks - positive * (positive + 1) / 2) / (positive * negative)


@dataclass(frozen=True)
class Detection:
    """How a yes/no answer fits the labels. A figure is None where its denominator is 0."""

    accuracy: float | None
    sensitivity: float | None
    specificity: float | None
    f1: float | None


def detection(label: ArrayLike, score: ArrayLike, threshold: float = 0.5) -> Detection:
    """Compare scores with labels of 1 or 0; a score of ``threshold`` or more is a yes."""
    truth, yes = np.asarray(label) > 0, np.asarray(score, float) >= threshold
    hits, false_alarms = int((yes & truth).sum()), int((yes & ~truth).sum())
    positive, negative = int(truth.sum()), int((~truth).sum())
    rejected = negative - false_alarms
    return Detection(
        accuracy=_ratio(hits + rejected, positive + negative),
        sensitivity=_ratio(hits, positive),
        specificity=_ratio(rejected, negative),
        f1=_ratio(2 * hits, hits + false_alarms + positive),
    )


def _ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _pair(pred: Mask, truth: Mask) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    if pred.shape != truth.shape:
        raise ValueError(f"masks must have one shape, not {pred.shape} and {truth.shape}")
    return pred > 0, truth > 0


def _bounding_box(mask: NDArray[np.bool_]) -> tuple[slice, ...]:
    """Find the slices around a mask; empty slices where it is empty."""
    found = ndimage.find_objects(mask.view(np.int8))
    box: tuple[slice, ...] = found[0] if found else (slice(0, 0),) * mask.ndim
    return box


def _boundary(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    boundary: NDArray[np.bool_] = mask & ~ndimage.binary_erosion(mask)
    return boundary


def _distances(
    start: NDArray[np.bool_], goal: NDArray[np.bool_], steps: NDArray[np.float64], diagonal: float
) -> NDArray[np.float64]:
    """Measure from each set pixel of ``start`` to the nearest set pixel of ``goal``."""
    points = np.argwhere(start)
    if not goal.any():
        return np.full(len(points), diagonal)
    if len(points) * _TREE_COST < goal.size:
        found: NDArray[np.float64] = cKDTree(np.argwhere(goal) * steps).query(points * steps)[0]
        return found
    # Indices alone need a third of the memory of distances, and most voxels' distances are of no interest.
    nearest = ndimage.distance_transform_edt(~goal, sampling=steps, return_distances=False, return_indices=True)
    offset = (points - nearest[:, *points.T].T) * steps
    distance: NDArray[np.float64] = np.sqrt((offset**2).sum(axis=1))
    return distance
