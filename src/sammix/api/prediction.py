"""Segment one scan, and what comes of it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sammix.api.callers_state import callers_state
from sammix.api.figure import Picture, new_file
from sammix.api.given import PathLike, whole_number
from sammix.api.model import ModelLike, as_model
from sammix.api.scan_input import AffineLike, ScanLike, as_volume
from sammix.inference.assemble import SMALLEST_PART
from sammix.inference.evidence import SliceEvidence
from sammix.inference.scan import ScanOptions, predict_volume
from sammix.inference.scan_quality import ScanQuality
from sammix.inference.statistics import organ_statistics
from sammix.io.nifti_forms import NiftiForms
from sammix.io.readers.formats import stem
from sammix.io.volume import Affine, Volume
from sammix.io.writers import nifti_mask
from sammix.log import warn

if TYPE_CHECKING:
    import nibabel as nib
    import SimpleITK as sitk


@dataclass(frozen=True, eq=False, repr=False)
class Prediction:
    """A scan's mask, and what the model says of it. A notebook shows it as a picture.

    Attributes:
        mask: uint8 0/1, on the scan's own grid and in its own axis order: that of the array or the nibabel image given,
            that of the file as `read_scan` reads it; of a SimpleITK image in ITK's index order (column, row,
            slice), which is its array transposed (see `as_sitk`).
        affine: (4, 4) float64, voxel index → mm in RAS+.
        presence: (n,) float32, for each axial slice, from inferior to superior, the probability that it shows the
            organ. Slice i is ``axial_mask[i]``.
        doubt: axial slices to look at first: their mask and the model's activation map contradict each other. None for
            a model without such a map.
        dropped: axial slices whose mask was emptied although the classifier says yes: they lie apart from the organ.
        bridged: axial slices that have a mask although the classifier says no: they lie within the organ.
        corrected: axial slices in whose mask the scan's own tissue overruled a region.
        quality: how good the mask is to be expected: `ScanQuality`; None for a model that was not calibrated.
        statistics: ``volume_ml``, ``hu_mean``, ``hu_sd``, ``z_extent_mm``, ``slices_with_organ``, ``confidence``;
            None where a figure cannot be known.
        warnings: what is suspicious about the scan or the result, each a line.
        organ, model, scan: what was looked for, the model's name, the scan's.
    """

    mask: NDArray[np.uint8]
    affine: Affine
    presence: NDArray[np.float32]
    doubt: list[int] | None
    dropped: list[int]
    bridged: list[int]
    corrected: list[int]
    quality: ScanQuality | None
    statistics: dict[str, float | int | None]
    warnings: tuple[str, ...]
    organ: str
    model: str
    scan: str
    _evidence: list[SliceEvidence]
    _forms: NiftiForms | None

    @property
    def organ_found(self) -> bool:
        """Whether any voxel is marked."""
        return bool(self.mask.any())

    @property
    def volume_ml(self) -> float | None:
        """The organ's volume; None where the scan's millimetres cannot be trusted."""
        return self.statistics["volume_ml"]

    @cached_property
    def axial_mask(self) -> NDArray[np.uint8]:
        """The mask as axial slices, (slice, row, column), from inferior to superior, each upright."""
        return Volume(self.mask, self.affine).axial().array

    def save(self, path: PathLike, *, overwrite: bool = False) -> Path:
        """Write the mask as NIfTI, on the scan's own grid; of a scan in NIfTI with its qform, sform and unit.

        DICOM is written by the command line (``--format``).

        Args:
            path: ends in ``.nii.gz`` or ``.nii``.
            overwrite: replace a file that is there.

        Returns:
            The path.

        Raises:
            OutputError: another suffix, a file that is there already, or one that cannot be written.
        """
        target = new_file(path, (".nii.gz", ".nii"), overwrite)
        nifti_mask.write_mask(target, self.mask, Volume(self.mask, self.affine, forms=self._forms))
        return target

    def as_nibabel(self) -> nib.Nifti1Image:
        """The mask as a nibabel image, uint8 0/1, with the scan's affine, of NIfTI its qform, sform and unit."""
        image: nib.Nifti1Image = nifti_mask.mask_image(self.mask, self.affine, self._forms)
        return image

    def as_sitk(self) -> sitk.Image:
        """The mask as a SimpleITK image, uint8 0/1, with the scan's origin, spacing and direction.

        Raises:
            SammixError: the scan's axes are not perpendicular, which such an image cannot say.
        """
        from sammix.io.writers.itk_mask import mask_image

        image: sitk.Image = mask_image(self.mask, self.affine)
        return image

    def show(self) -> Picture:
        """Show a few slices with the organ: CT, activation map, prompt, mask."""
        from sammix.report.preview import write_preview

        return Picture.drawn_by(lambda path: write_preview(path, self._evidence, self.scan, self.organ))

    def _repr_png_(self) -> bytes:
        return self.show().png

    def __repr__(self) -> str:
        shape = " × ".join(str(n) for n in self.mask.shape)
        if not self.organ_found:
            return f"Prediction({self.scan!r}: no {self.organ} found, {shape} voxels, by {self.model})"
        size = "" if self.volume_ml is None else f" of {self.volume_ml:.0f} ml"
        doubt = f", doubtful slices {self.doubt}" if self.doubt else ""
        known = self.quality and self.quality.scan
        dice = f", expected Dice {known.expected:.2f}" if known else ""
        return f"Prediction({self.scan!r}: {self.organ}{size}, {shape} voxels{dice}{doubt}, by {self.model})"


def predict(
    model: ModelLike,
    scan: ScanLike,
    *,
    affine: AffineLike | None = None,
    series: str | None = None,
    all_parts: bool = False,
    every_slice: bool = False,
    batch_size: int = 4,
    progress: bool = False,
) -> Prediction:
    """Segment one scan.

    Args:
        model: from `load` or `fit`; or a run's folder, a model's folder or a shipped model's name, which
            is then loaded.
        scan: a path, as `read_scan` takes it; a numpy array (I, J, K) in HU, with ``affine``; a nibabel or a
            SimpleITK image in HU; or a `Volume`.
        affine: of an array: (4, 4), voxel index → mm in RAS+. It is never guessed.
        series: of the path of a DICOM folder with several scans: which, by its SeriesInstanceUID.
        all_parts: for what is not one body, such as lesions: judge each slice by itself, and keep small parts.
        every_slice: put all slices through the network, those too that others tell what they show.
        batch_size: slices that go through the network together.
        progress: show progress on standard error.

    Returns:
        The mask on the scan's own grid, and what the model says of it.

    Raises:
        SammixError: the model or the scan cannot be used.

    >>> result = sammix.predict(run, folder / "volume-0.nii")
    >>> result.mask.shape, result.mask.dtype, len(result.presence)
    ((72, 72, 12), dtype('uint8'), 12)
    """
    batch_size = whole_number(batch_size, "batch_size", least=1)
    with callers_state(progress):
        trained, volume = as_model(model), as_volume(scan, affine, series)
        name = stem(volume.path) if volume.path else "scan"
        part = 0 if all_parts else SMALLEST_PART
        how = ScanOptions(batch_size, name, part, trained.card.quality, every_slice)
        found = predict_volume(trained.network, volume, how)
        empty = () if found.organ_found else (f"no {trained.organ} found; the mask is empty",)
        for warning in (*volume.warnings, *empty):
            warn(f"{name}: {warning}")
        return Prediction(
            mask=found.mask,
            affine=volume.affine.copy(),
            presence=found.presence,
            doubt=found.doubtful,
            dropped=found.decision.dropped,
            bridged=found.decision.bridged,
            corrected=found.decision.corrected,
            quality=found.quality,
            statistics=organ_statistics(volume, found.mask, found.confidence),
            warnings=(*volume.warnings, *empty),
            organ=trained.organ,
            model=trained.name,
            scan=name,
            _evidence=found.evidence,
            _forms=volume.forms,
        )
