"""Segment scans and write a mask for each, on its own grid. A failed scan is named and the others are done."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from sammix import __version__
from sammix.data.display import image_numbers
from sammix.errors import SammixError
from sammix.files import atomic_path, check_output, sole_writer, write_csv
from sammix.inference.assemble import SMALLEST_PART
from sammix.inference.decision import ranges
from sammix.inference.evidence import SliceEvidence
from sammix.inference.inputs import find_scans, origin, with_digest
from sammix.inference.manifest import Manifest, Record
from sammix.inference.scan import VolumePrediction, predict_volume
from sammix.inference.slice_records import SLICE_COLUMNS, slice_records
from sammix.inference.statistics import organ_statistics
from sammix.io import Case
from sammix.io.volume import Volume
from sammix.io.writers.mask_format import SUFFIX, MaskFormat, check_source, write_scan_mask
from sammix.log import say, warn
from sammix.networks.interface import Segmenter
from sammix.networks.quality import Quality

SHOWN = 10  # names of scans in one line

PreviewWriter = Callable[[Path, Sequence[SliceEvidence], str, str], None]
"""Draws a scan's picture: (file to write, some slices, the scan's name, the organ)."""

PageDrawer = Callable[[str, Volume, VolumePrediction], dict[str, tuple[str, bytes]]]
"""Draws what a page shows of a scan: (its name, the scan, what was found) → key of the manifest: (file, content)."""


@dataclass(frozen=True)
class OutputOptions:
    """What is written of each scan.

    Attributes:
        organ: what the masks are called.
        mask_format: of the masks.
        preview: draws a picture of each scan; None: no picture.
        page: draws what the run's page shows of a scan; None: there is no page.
        smallest_part: what :func:`~sammix.inference.scan.predict_volume` takes.
        model_sha256: of the model's content, recorded in the manifest; None where it is not known.
        quality: the model's, where it was calibrated: it estimates how good each mask is.
    """

    organ: str
    mask_format: MaskFormat = "nifti"
    preview: PreviewWriter | None = None
    page: PageDrawer | None = None
    smallest_part: float = SMALLEST_PART
    model_sha256: str | None = None
    quality: Quality | None = None


@dataclass(frozen=True)
class PredictOptions:
    """How scans are gone through.

    Attributes:
        series: a SeriesInstanceUID, to do that series alone.
        overwrite: write into a folder that holds something already.
        skip_done: go on with a folder that an earlier run wrote, and leave what it did.
        batch_size: slices that go through the network together.
    """

    series: str | None = None
    overwrite: bool = False
    skip_done: bool = False
    batch_size: int = 4


def predict(
    load: Callable[[], Segmenter],
    inputs: Sequence[Path],
    out: Path,
    wanted: OutputOptions,
    how: PredictOptions = PredictOptions(),
) -> int:
    """Segment every scan found in ``inputs`` and write its mask, a preview, and the run's manifest.

    Args:
        load: brings the network, once, after inputs and ``out`` are known to be usable.
        inputs: scans, folders, archives.
        out: the folder to write into.
        wanted: what is written of each scan.
        how: how the scans are gone through.

    Returns:
        How many scans and inputs failed; each is named in the manifest, and the others are done.

    Raises:
        InputError: no input holds a scan.
        OutputError: ``out`` holds something already, or masks of another model, or another process writes there.
        SammixError: every scan failed.
    """
    found = find_scans(inputs, how.series)
    for line in found.remarks:
        say(line)
    for line in found.problems:
        warn(line)
    with sole_writer(out, lambda: check_output(out, how.overwrite or how.skip_done)):
        run = _Run(load(), out, wanted, how.batch_size)
        manifest = Manifest(out, run.settings, keep=how.skip_done, inputs=found.inputs)
        manifest.write()
        return _predict_all(run, found.scans, manifest) + found.refused


@dataclass(frozen=True)
class _Run:
    """What is the same for all scans."""

    segmenter: Segmenter
    out: Path
    wanted: OutputOptions
    batch_size: int

    @property
    def settings(self) -> Record:
        """What the manifest says of all scans."""
        return {
            "sammix": __version__,
            "model": self.segmenter.name,
            "model_sha256": self.wanted.model_sha256,
            "organ": self.wanted.organ,
            "format": self.wanted.mask_format,
            "smallest_part": self.wanted.smallest_part,
        }


def _predict_all(run: _Run, scans: dict[str, Case], manifest: Manifest) -> int:
    """Do the scans that are not done, one after the other; returns how many failed."""
    files = ("mask",) if run.wanted.preview is None else ("mask", "preview")
    scans = {with_digest(c) if manifest.holds_another(name, origin(c)) else name: c for name, c in scans.items()}
    todo = {name: case for name, case in scans.items() if not manifest.is_done(name, files)}
    if len(todo) < len(scans):
        say(f"{len(scans) - len(todo)} of {len(scans)} scans are done already")
    failed = 0
    for done, (name, case) in enumerate(todo.items(), start=1):
        say(f"[{done}/{len(todo)}] {name}")
        statistics: Record | None = None
        try:
            with case.opened() as at_hand:
                entry, statistics = _predict_one(run, name, at_hand)
        except (SammixError, MemoryError) as error:
            failed += 1
            warn(f"failed: {error}")
            entry = {"status": "failed", "error": str(error) or "not enough memory for this scan"}
        except Exception as error:  # ours, but the other scans are not to wait for us
            failed += 1
            problem = f"a fault of sammix itself ({type(error).__name__}: {error}); please report it"
            warn(f"failed: {case.image}: {problem}")
            entry = {"status": "failed", "error": f"{case.image}: {problem}"}
        manifest.add(name, origin(case) | entry, statistics)
    _say_which_to_look_at([name for name in scans if manifest.statistics.get(name, {}).get("look")], len(scans))
    if failed == len(scans):
        raise SammixError(f"none of {failed} scans could be segmented; see {run.out / 'manifest.json'}")
    return failed


def _say_which_to_look_at(names: list[str], count: int) -> None:
    if names:
        more = f" and {len(names) - SHOWN} more, see statistics.csv" if len(names) > SHOWN else ""
        verb = "wants" if len(names) == 1 else "want"
        say(f"{len(names)} of {count} masks {verb} a look: {', '.join(names[:SHOWN])}{more}")


def _predict_one(run: _Run, name: str, case: Case) -> tuple[Record, Record]:
    """Write a scan's files; returns its manifest entry and its statistics. Where it fails, none of its files stays.

    Args:
        run: what is the same for all scans.
        name: of the scan.
        case: with its files at hand.
    """
    wanted = run.wanted
    check_source(case.image, bool(case.files), wanted.mask_format)
    volume = case.read()
    for warning in volume.warnings:
        warn(f"{name}: {warning}")
    images = image_numbers(volume.axial(), case.files)
    found = predict_volume(run.segmenter, volume, run.batch_size, name, wanted.smallest_part, wanted.quality, images)
    if not found.organ_found:
        warn(f"{name}: no {wanted.organ} found; the mask is empty")
    files, problems = _write_files(run, name, case, volume, found)
    for problem in problems:
        warn(f"{name}: {problem}")
    quality = {} if found.quality is None else found.quality.record()
    statistics = organ_statistics(volume, found.mask, found.confidence) | quality
    for line in found.decision.lines():
        say(f"{name}: {line}")
    if found.quality is not None:
        say(f"{name}: {found.quality.line()}")
    if found.doubtful:
        say(f"{name}: look at these slices first, map and mask contradict each other: {ranges(found.doubtful)}")
    entry = {
        "status": "done",
        **files,
        "prompt": found.prompt,
        "organ_found": found.organ_found,
        "slices": len(found.presence),
        "slices_with_organ": statistics["slices_with_organ"],
        **found.decision.record(),
        "doubtful_slices": found.doubtful,
        **quality,
        "warnings": [*volume.warnings, *problems],
    }
    return entry, statistics


def _write_files(
    run: _Run, name: str, case: Case, volume: Volume, found: VolumePrediction
) -> tuple[dict[str, str], Sequence[str]]:
    """Write the mask and the picture, or neither; returns their names and what the mask's format cannot hold."""
    wanted = run.wanted
    mask, picture = run.out / f"{name}_{wanted.organ}{SUFFIX[wanted.mask_format]}", run.out / f"{name}_preview.png"
    slices = run.out / f"{name}_slices.csv"
    written = {"mask": mask.name}
    try:
        problems = write_scan_mask(
            mask,
            found.mask,
            volume,
            wanted.mask_format,
            files=case.files,
            organ=wanted.organ,
            model=run.segmenter.name,
        )
        written["slices_csv"] = slices.name
        write_csv(slices, SLICE_COLUMNS, slice_records(volume, found))
        if wanted.preview is not None:
            wanted.preview(picture, found.evidence, name, wanted.organ)
            written["preview"] = picture.name
        for key, (file, content) in (wanted.page(name, volume, found) if wanted.page else {}).items():
            with atomic_path(run.out / file) as temporary:
                temporary.write_bytes(content)
            written[key] = file
    except Exception:
        for file in written.values():
            (run.out / file).unlink(missing_ok=True)
        raise
    return written, problems
