"""All that the page needs to show a stack, but for pixels."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sammix.data.scan_slices import in_plane
from sammix.label.collection import OpenStack
from sammix.label.service import Service


def described(service: Service, number: int, who: str) -> dict[str, Any]:
    """All that the page needs to show a stack, but for pixels."""
    stack = service.opened(number)
    record = service.project.record
    answers = service.answers(stack)
    scan = stack.scans[0]
    differing = _differing(service, stack)
    row, column = in_plane(scan.axial)
    return {
        "stack": number,
        "name": stack.stack.name,
        "whole": stack.stack.whole,
        "shapes": [list(stack.hu(n).shape) for n in range(len(stack))] if not stack.stack.whole else [],
        "shape": list(scan.axial.array.shape[1:]),
        "count": len(stack),
        "spacing": [float(scan.axial.spacing[0]), float(row), float(column)],
        "trusted": scan.axial.trusted_geometry,
        "marks": list(record.marks(who, stack.stack.name)) if stack.stack.whole else [None, None],
        "labels": [one.label for one in answers],
        "label_how": [one.label_how for one in answers],
        "masks": [one.mask for one in answers],
        "mask_how": [one.mask_how for one in answers],
        "who": [one.who for one in answers],
        "differ": differing,
        "warnings": _lines(scan.warnings for scan in stack.scans),
        "undo": list(record.depth(who)),
    }


def _differing(service: Service, stack: OpenStack) -> dict[int, list[dict[str, Any]]]:
    """Slices on which annotators differ, by their number in the stack."""
    places = {place: n for n, place in enumerate(stack.places)}
    return {
        places[name, z]: [{"who": one.who, "label": one.label, "mask": one.mask} for one in said]
        for name in {place[0] for place in stack.places}
        for z, said in service.project.record.disagreements(name).items()
        if (name, z) in places
    }


def _lines(warnings: Iterable[tuple[str, ...]]) -> list[str]:
    return list(dict.fromkeys(line for of_scan in warnings for line in of_scan))
