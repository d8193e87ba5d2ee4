"""What a path is, and how large the networks are."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from sammix.readers import Dataset, open_dataset, read_volume
from sammix.slices.store import is_store, open_store
from sammix.volume import Volume


def describe_models() -> str:
    """Parameters of each part of the networks, counted and in millions."""
    from sammix.nets.counts import parameter_counts

    head = f"{'network':15}{'part':34}{'parameters':>13}   millions"
    lines = [f"{name:15}{part:34}{round(m * 1e6):13,d}{m:11.2f}" for name, part, m in parameter_counts()]
    return "\n".join([head, *lines])


def describe_path(path: Path) -> str:
    """A scan's geometry and HU, or a data set's layout, cases and labels, with what is suspicious.

    Raises:
        InputError: nothing that sammix reads.
    """
    if is_store(path):
        return _store(path)
    if path.is_dir():
        return _dataset(open_dataset(path))
    return _volume(read_volume(path))


def _volume(volume: Volume) -> str:
    spacing = " × ".join(f"{mm:.3g}" for mm in volume.spacing)
    lines = [
        f"scan of {' × '.join(map(str, volume.array.shape))} voxels, {spacing} mm, axes {''.join(volume.axcodes)}",
        f"values from {volume.array.min():g} to {volume.array.max():g} HU",
        f"{len(volume.axial().array)} axial slices",
    ]
    return "\n".join(lines + [f"warning: {warning}" for warning in volume.warnings])


def _dataset(dataset: Dataset) -> str:
    masks = sum(case.mask is not None for case in dataset.cases)
    patients = len({case.patient for case in dataset.cases})
    count = f"{len(dataset.cases)} cases of {patients} patients"
    lines = [f"{dataset.layout}: {count}, {masks} with a mask of the {dataset.organ}"]
    labels = Counter(case.label for case in dataset.cases if case.label is not None)
    if labels:
        lines.append(f"labels: {labels[1]} with the {dataset.organ}, {labels[0]} without")
    splits = Counter(case.split for case in dataset.cases if case.split)
    if splits:
        lines.append("splits: " + ", ".join(f"{split} {count}" for split, count in sorted(splits.items())))
    if len(dataset.cases) == 1:
        lines.append(_volume(dataset.cases[0].read()))
    return "\n".join(lines + [f"warning: {problem}" for problem in dataset.problems])


def _store(path: Path) -> str:
    table = open_store(path)
    return (
        f"store of {len(table)} slices ({table.preprocess.size} px, window {table.preprocess.window_level:g}/"
        f"{table.preprocess.window_width:g} HU), {len(set(table.patient))} patients: {(table.label == 1).sum()} with "
        f"the {table.organ}, {(table.label == 0).sum()} without, {table.has_mask.sum()} with a mask"
    )
