"""Medical Decathlon and its descendant, nnU-Net raw: ``imagesTr``, ``labelsTr``, ``dataset.json``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from sammix.errors import InputError
from sammix.io.dataset import Case, Dataset, unpaired
from sammix.io.layouts.label_table import label_numbers
from sammix.io.layouts.meaning import Meaning
from sammix.io.layouts.pairing import Found, pair
from sammix.io.limits import check_text
from sammix.io.readers.formats import is_image_file, stem

LOOKED_FOR = "Medical Decathlon or nnU-Net raw (imagesTr, labelsTr, dataset.json)"


def open_layout(root: Path, organ: str | None) -> Dataset | None:
    """Open the cases of ``imagesTr``, and of ``imagesTs`` where its labels are there (then with splits).

    The organ is found by name among the labels of ``dataset.json``; where all others are its lesions,
    they count too (the liver's ``cancer``). The label called ``ignore`` is what nobody looked at.

    Raises:
        InputError: several channels a case, or ``dataset.json`` is not as these layouts have it.
    """
    if not (root / "imagesTr").is_dir():
        return None
    organ = organ or "liver"
    info = _dataset_json(root / "dataset.json")
    name = str(info.get("name") or root.resolve().name)
    described = root / "dataset.json"
    names_of_labels = label_numbers(described, info.get("labels", {}))
    meaning = Meaning(organ, described, names_of_labels) if names_of_labels else Meaning.of(root, organ)
    images = _images(root / "imagesTr", root / "labelsTr")
    masks = _masks(root / "labelsTr", images, organ)
    problems = list(unpaired(images, masks))
    tested = _images(root / "imagesTs", root / "labelsTs")
    truths = _masks(root / "labelsTs", tested, organ)
    if meaning.problems:
        problems += meaning.problems
    elif tested and not truths:
        problems.append(f"imagesTs has no labels; its {len(tested)} images are left out")
        tested = {}
    else:
        problems += unpaired(tested, truths)
    splits = ("train", "test") if tested else (None, None)
    cases = [Case(k, images[k], masks.get(k), k, name, splits[0]) for k in sorted(images)]
    cases += [Case(k, tested[k], truths.get(k), k, name, splits[1]) for k in sorted(tested)]
    layout = "nnU-Net raw" if _is_nnunet(info, root / "imagesTr") else "Medical Decathlon"
    return Dataset(root, name, layout, organ, tuple(meaning.given_to(case) for case in cases), problems=tuple(problems))


def _dataset_json(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    check_text(path)
    try:
        info = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(path, "is not JSON", "copy it again, or remove it to count every label") from error
    if not isinstance(info, dict):
        raise InputError(path, "is not a JSON object", "copy it again, or remove it to count every label")
    return info


def _is_nnunet(info: dict[str, Any], folder: Path) -> bool:
    return "file_ending" in info or any(stem(path).endswith("_0000") for path in _image_files(folder))


def _image_files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if is_image_file(path)) if folder.is_dir() else []


def _images(folder: Path, labels: Path) -> dict[str, Path]:
    """Map case → image. nnU-Net's channel number is taken off, and must be the first and only one.

    In AMOS such a number is a part of the case's name, and of its mask's.
    """
    images = {}
    masks = {stem(path) for path in _image_files(labels)}
    files = {stem(path): path for path in _image_files(folder)}
    for name, path in files.items():
        case = name if name in masks else name.removesuffix("_0000")
        if name.endswith("_0001") and name not in masks and f"{name.removesuffix('_0001')}_0000" in files:
            raise InputError(path, "is a second channel", "CT has one: keep the files that end in _0000")
        images[case] = path
    return images


def _masks(folder: Path, images: dict[str, Path], organ: str) -> dict[str, Path]:
    """Map case → mask; masks of no case keep their own names. BTCV's are called ``label0001``."""
    masks = {stem(path): path for path in _image_files(folder)}
    if masks.keys() <= images.keys():
        return masks
    scans = [Found(path, (), case) for case, path in images.items()]
    pairs = pair(scans, [Found(path, (), name) for name, path in masks.items()], organ).of
    paired = {case: pairs[path] for case, path in images.items() if path in pairs}
    return paired | {name: path for name, path in masks.items() if path not in paired.values()}
