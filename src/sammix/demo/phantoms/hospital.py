"""Where a scan is made: its contrast phase, grid, noise and the way its files are stored."""

from __future__ import annotations

from dataclasses import dataclass, replace

from sammix.demo.phantoms.tissues import Phase


@dataclass(frozen=True)
class Hospital:
    """A scanner and its habits; ``shape`` and ``spacing`` go along the patient's x, y, z (right, front, up)."""

    name: str
    phase: Phase
    shape: tuple[int, int, int]  # voxels
    spacing: tuple[float, float, float]  # mm
    noise: float  # standard deviation in the middle of the body, HU
    sharpness: float  # cut-off of the reconstruction kernel, cycles per mm
    axcodes: tuple[str, str, str]  # orientation of the stored array, as nibabel.aff2axcodes gives it
    tilt: float = 0.0  # rotation of the stored axes about the patient's long axis, degrees

    def at(self, shape: tuple[int, int, int]) -> Hospital:
        """Take the same field of view on another grid, such as a small one for tests.

        >>> PORTAL.at((120, 120, 26)).spacing
        (3.4, 3.4, 10.0)
        """
        x, y, z = (old * mm / new for old, mm, new in zip(self.shape, self.spacing, shape, strict=True))
        return replace(self, shape=shape, spacing=(x, y, z))


PORTAL = Hospital("portal", "portal", (240, 240, 52), (1.7, 1.7, 5.0), 11.0, 0.30, ("L", "P", "S"))
NATIVE = Hospital("native", "native", (208, 208, 64), (1.9, 1.9, 4.0), 19.0, 0.45, ("R", "A", "S"), tilt=4.0)
HOSPITALS = {hospital.name: hospital for hospital in (PORTAL, NATIVE)}
