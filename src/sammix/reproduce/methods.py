"""The methods of the paper's tables, ours among them, with the paper's own figures to set beside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from sammix.errors import ConfigError

Domain = Literal["in-domain", "across"]
DOMAINS: tuple[Domain, ...] = ("in-domain", "across")
OURS = "sam-mix"


@dataclass(frozen=True)
class Method:
    """A way to segment that the grid can train.

    Attributes:
        key: its name on the command line and in files.
        title: its name in tables.
        preset: of ``sammix fit``; None for the real nnU-Net, which has a way of its own.
        labels: which numbers of annotated slices it is trained with: all there are, each of those asked for, or those
            and none at all.
        published: its name in the paper's tables; None where the paper does not have it.
        usual: whether it is run where no methods are named. The others need weights or a program that few have.
    """

    key: str
    title: str
    preset: str | None
    labels: Literal["all", "each", "each and none"]
    published: str | None
    usual: bool = True

    def label_counts(self, asked: Sequence[int | None]) -> list[int | None]:
        """List the numbers of annotated slices; None: all."""
        if self.labels == "all":
            return [None]
        return [*([0] if self.labels == "each and none" else []), *asked]

    def row(self, labels: int | None) -> str:
        """Name the row in the tables, such as ``SAM-Mix-50``; a method that always learns from all has its own name."""
        return self.title if self.labels == "all" else f"{self.title}-{'all' if labels is None else labels}"

    def paper_row(self, labels: int | None) -> str:
        """Name the row in the paper's tables; its MultiMix does not say how many slices were annotated."""
        numbered = self.published in ("SAM-PP", "SAM-Mix")
        return f"{self.published}-{labels}" if numbered else str(self.published)


METHODS = {
    method.key: method
    for method in (
        Method("unet", "U-Net", "unet", "all", "U-Net"),
        Method("unet-standard", "U-Net (64–1024)", "unet-standard", "all", None),
        Method("nnunet-style", "nnU-Net-style", "nnunet-style", "all", "nnU-Net"),
        Method("nnunet", "nnU-Net v2", None, "all", "nnU-Net", usual=False),
        Method("transunet", "TransUNet", "transunet", "all", "TransU-Net"),
        Method("multimix", "MultiMix", "multimix", "each", "MultiMix"),
        Method("sam-pp", "SAM-PP", "sam-pp", "each and none", "SAM-PP"),
        Method("sam-pp-paper", "SAM-PP (ViT-B)", "sam-pp-paper", "each and none", "SAM-PP", usual=False),
        Method("sam-mix", "SAM-Mix", "lite", "each", "SAM-Mix"),
        Method("sam-mix-paper", "SAM-Mix (ViT-B)", "paper", "each", "SAM-Mix", usual=False),
    )
}


def choose_methods(names: Sequence[str]) -> list[Method]:
    """Choose the methods named, in the tables' order; the usual ones where none is.

    Raises:
        ConfigError: no such method.
    """
    if unknown := sorted(set(names) - METHODS.keys()):
        raise ConfigError(f"no method is called '{unknown[0]}'; there are: {', '.join(METHODS)}")
    return [method for method in METHODS.values() if (method.key in names if names else method.usual)]


@dataclass(frozen=True)
class Published:
    """Mean and standard deviation over five runs as printed: Dice, and Hausdorff distance in px."""

    dice: tuple[float, float]
    hausdorff: tuple[float, float]


# arXiv:2412.08575, Tables 1 and 2.
PAPER: dict[Domain, dict[str, Published]] = {
    "in-domain": {
        "U-Net": Published((0.897, 0.010), (13.496, 1.272)),
        "nnU-Net": Published((0.863, 0.034), (21.407, 1.391)),
        "TransU-Net": Published((0.889, 0.005), (12.68, 2.109)),
        "MultiMix": Published((0.627, 0.007), (21.470, 1.901)),
        "SAM-PP-0": Published((0.441, 0.012), (67.565, 1.477)),
        "SAM-PP-5": Published((0.754, 0.006), (36.521, 0.528)),
        "SAM-PP-50": Published((0.726, 0.005), (30.993, 0.010)),
        "SAM-PP-100": Published((0.763, 0.003), (26.535, 0.069)),
        "SAM-Mix-5": Published((0.919, 0.002), (15.1413, 0.250)),
        "SAM-Mix-50": Published((0.948, 0.002), (9.842, 0.046)),
        "SAM-Mix-100": Published((0.941, 0.001), (14.671, 0.052)),
    },
    "across": {
        "U-Net": Published((0.669, 0.055), (29.588, 0.052)),
        "nnU-Net": Published((0.645, 0.013), (38.497, 0.043)),
        "TransU-Net": Published((0.642, 0.024), (42.796, 0.038)),
        "MultiMix": Published((0.159, 0.196), (97.982, 0.057)),
        "SAM-PP-0": Published((0.334, 0.011), (72.150, 1.250)),
        "SAM-PP-5": Published((0.593, 0.007), (54.784, 0.545)),
        "SAM-PP-50": Published((0.579, 0.008), (46.513, 0.035)),
        "SAM-PP-100": Published((0.605, 0.004), (40.328, 0.068)),
        "SAM-Mix-5": Published((0.807, 0.002), (17.568, 0.086)),
        "SAM-Mix-50": Published((0.923, 0.004), (11.164, 0.021)),
        "SAM-Mix-100": Published((0.921, 0.001), (12.926, 0.023)),
    },
}


def published(domain: Domain, method: Method, labels: int | None) -> Published | None:
    """Look up what the paper prints for a row of ours; None where it has no such row."""
    return PAPER[domain].get(method.paper_row(labels))
