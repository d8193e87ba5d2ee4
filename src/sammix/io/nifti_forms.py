"""Where a NIfTI file says that its voxels lie: twice, and programs differ in which they read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Affine = NDArray[np.float64]

FIELDS = (
    "xyzt_units", "qform_code", "sform_code", "quatern_b", "quatern_c", "quatern_d",
    "qoffset_x", "qoffset_y", "qoffset_z", "srow_x", "srow_y", "srow_z",
)  # fmt: skip
"""The geometry in a header, but for ``pixdim``, whose first four count (qfac, and the spacing, which ITK takes)."""


@dataclass(frozen=True, eq=False)
class NiftiForms:
    """A file's qform and sform with their codes, its spacing and its unit, as they are stored.

    A mask with the same fields opens wherever its scan opens, and in the same place, whichever form a program
    reads, and however much the two disagree or fall short of perpendicular axes.

    Attributes:
        affine: (4, 4) voxel index → mm in RAS+, as the reader took it from these forms.
        nifti2: whether the file is NIfTI-2, whose numbers are doubles.
        fields: the header's fields by name, ``pixdim`` as its first four.
    """

    affine: Affine
    nifti2: bool
    fields: dict[str, NDArray[Any]]

    @classmethod
    def of(cls, header: Any, affine: Affine) -> NiftiForms:
        """Take the forms out of nibabel's header; ``affine`` is what they mean, in mm."""
        fields = {name: header[name].copy() for name in FIELDS}
        spacing = header["pixdim"][:4].copy()
        spacing[1:][spacing[1:] == 0] = 1  # of a plane: the mask has a third axis
        return cls(affine.copy(), int(header["sizeof_hdr"]) == 540, {**fields, "pixdim": spacing})

    def hold_for(self, affine: Affine) -> bool:
        """Tell whether these are still the forms of a volume: its axes may have been reordered since it was read."""
        return np.array_equal(self.affine, affine)

    def put_into(self, header: Any) -> None:
        """Set the fields of nibabel's header, whose voxels are in the same order."""
        for name in FIELDS:
            header[name] = self.fields[name]
        header["pixdim"][:4] = self.fields["pixdim"]
