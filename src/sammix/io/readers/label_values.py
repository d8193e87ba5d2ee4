"""From a mask's own numbers to what it says of each voxel: the organ, not the organ, or that nobody looked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sammix.errors import InputError
from sammix.io.label_rules import NOT_KNOWN

MOST_NAMED = 8


@dataclass(frozen=True)
class LabelChoice:
    """Which of a mask's numbers mean what.

    Attributes:
        labels: those that count as the organ, as the user or the data says; None: nobody says.
        ignore: those that mean “nobody looked here”.
        usual: those that count by the habit of such data sets, in masks that hold several.
    """

    labels: tuple[int, ...] | None = None
    ignore: tuple[int, ...] = ()
    usual: tuple[int, ...] | None = None


def organ_voxels(path: Path, stored: NDArray[Any], choice: LabelChoice) -> tuple[NDArray[np.uint8], tuple[str, ...]]:
    """Convert label values to uint8 0, 1 or ``NOT_KNOWN``, and tell what is to be said about it.

    255 beside other labels is not known, whether or not that was said; 255 alone is a drawing in white, unless
    ``choice`` says otherwise.

    Raises:
        InputError: negative values or fractions; or several labels, and nothing says which are the organ.
    """
    whole = whole_numbers(path, stored)
    values = _values(whole)
    ignored = [value for value in values if value in choice.ignore]
    drawn = [value for value in values if value and value not in choice.ignore]
    warnings: list[str] = []
    if _is_unasked_ignore(drawn, choice):
        drawn.remove(NOT_KNOWN)
        ignored.append(NOT_KNOWN)
        count = int((whole == NOT_KNOWN).sum())
        warnings.append(f"{count:,} of its voxels are 255, which is no label here; they count as not known")
    organ, more = _organ(path, drawn, choice)
    mask = np.isin(whole, organ).astype(np.uint8)
    if ignored:
        mask[np.isin(whole, ignored)] = NOT_KNOWN
    return mask, (*warnings, *more)


def whole_numbers(path: Path, stored: NDArray[Any]) -> NDArray[Any]:
    """Check that values are those of a mask. Float files hold whole numbers up to rounding.

    Raises:
        InputError: negative values, or fractions.
    """
    if np.issubdtype(stored.dtype, np.floating):
        whole = np.rint(stored)
        if not (np.isfinite(whole).all() and np.allclose(stored, whole, rtol=0, atol=1e-3)):
            raise InputError(path, "is not a mask: its values have fractions", "threshold it first")
        stored = whole.astype(np.int32 if np.abs(whole).max() < 2**31 else np.int64)
    if stored.min() < 0:
        problem = f"is not a mask: its values go from {stored.min():g} to {stored.max() + 0.0:g}"
        raise InputError(path, problem, "give the mask, not the scan")
    return stored


def _values(whole: NDArray[Any]) -> list[int]:
    """List the values, ascending. Counting is many times faster than sorting, plane by plane needs little memory."""
    if whole.max() >= 2**16:
        return [int(value) for value in np.unique(whole)]
    there = np.zeros(2**16, np.bool_)
    for plane in whole:
        counts = np.bincount(plane.ravel().astype(np.intp))
        there[: len(counts)] |= counts > 0
    return [int(value) for value in np.flatnonzero(there)]


def _is_unasked_ignore(drawn: Sequence[int], choice: LabelChoice) -> bool:
    """Tell whether 255 means “nobody looked” here, although nobody said so."""
    if NOT_KNOWN not in drawn or NOT_KNOWN in (choice.labels or ()):
        return False
    return len(drawn) > 1 or choice.labels is not None


def _organ(path: Path, drawn: list[int], choice: LabelChoice) -> tuple[Sequence[int], tuple[str, ...]]:
    """Choose among the values that were drawn those that are the organ, and tell what is to be said about it.

    A habit never makes a drawn mask empty: where 1 (or white) alone is drawn, that is the organ.
    """
    asked = choice.usual if choice.labels is None else choice.labels
    if asked is None:
        if len(drawn) > 1:
            raise _ambiguous(path, drawn)
        return drawn, ()
    if not drawn or set(drawn) & set(asked):
        return asked, ()
    if choice.labels is None and len(drawn) == 1:
        if drawn[0] not in (1, NOT_KNOWN):
            raise _ambiguous(path, drawn)
        return drawn, (f"it holds {drawn[0]} alone: taken as the organ, which in such data is {_named(asked)}",)
    return asked, (f"label {_named(asked)} is nowhere in it; it holds {_named(drawn)}",)


def _ambiguous(path: Path, drawn: Sequence[int]) -> InputError:
    many = len(drawn) > 1
    problem = f"holds the label{'s' if many else ''} {_named(drawn)}, and nothing says which is the organ"
    or_several = f", or data.label=[{drawn[0]},{drawn[1]}]" if many else ""
    return InputError(path, problem, f"say it with --set data.label={drawn[-1]}{or_several}, or in labels.csv")


def _named(values: Sequence[int]) -> str:
    more = f" and {len(values) - MOST_NAMED} more" if len(values) > MOST_NAMED else ""
    return ", ".join(str(value) for value in values[:MOST_NAMED]) + more
