"""Which of the labels that a data set names are an organ's."""

from __future__ import annotations

from collections.abc import Mapping

LESIONS = ("cancer", "tumour", "tumor", "lesion", "cyst")

WELL_KNOWN = ("liver", "spleen", "kidney", "kidneys", "pancreas", "stomach", "gallbladder", "aorta", *LESIONS)
"""Words that say what a mask shows, whichever organ is wanted. Not lung, bone or brain: scanners name series so."""

IGNORE = "ignore"
"""nnU-Net's name of the label that means “nobody looked here”."""

Names = Mapping[str, tuple[int, ...]]


def words(name: str) -> set[str]:
    """Split a name into its words, in small letters."""
    return set(name.lower().replace("_", " ").replace("-", " ").replace(".", " ").split())


def shows(name: str, organ: str) -> bool:
    """Tell whether a name holds all words of an organ's."""
    return words(organ) <= words(name)


def shows_other(name: str, organ: str) -> bool:
    """Tell whether a name says that something else is shown."""
    return not shows(name, organ) and bool(words(name) & set(WELL_KNOWN))


def labels_of(organ: str, names: Names) -> tuple[int, ...] | None:
    """Find an organ's numbers; where all other labels are its lesions, they count too. None: it is not named.

    >>> labels_of("liver", {"liver": (1,), "cancer": (2,)}), labels_of("liver", {"liver": (6,), "spleen": (1,)})
    ((1, 2), (6,))
    """
    numbers = {_plain(name): of_label for name, of_label in names.items() if _plain(name) != IGNORE}
    wanted = _plain(organ)
    if wanted not in numbers:
        return None
    others = [name for name in numbers if name != wanted]
    if all(any(word in name for word in LESIONS) for name in others):
        return tuple(sorted({n for of_label in numbers.values() for n in of_label}))
    return numbers[wanted]


def ignored_by(names: Names) -> tuple[int, ...]:
    """Find the numbers of what is called ``ignore``."""
    return next((numbers for name, numbers in names.items() if _plain(name) == IGNORE), ())


def _plain(name: str) -> str:
    return " ".join(name.lower().replace("_", " ").replace("-", " ").split())
