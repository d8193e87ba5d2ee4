"""Segment scans and write a mask for each, on its own grid. A failed scan is named and the others are done."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from itertools import count
from pathlib import Path
from uuid import uuid4

from sammix import __version__
from sammix.cluster.engine import Engine
from sammix.data.display import image_numbers
from sammix.errors import SammixError
from sammix.files import atomic_path, write_csv
from sammix.inference.assemble import SMALLEST_PART
from sammix.inference.decision import ranges
from sammix.inference.destination import Destination
from sammix.inference.evidence import SliceEvidence
from sammix.inference.inputs import find_scans, origin, with_digest
from sammix.inference.manifest import IndexDrawer, Manifest, Record
from sammix.inference.pipeline import Steps
from sammix.inference.scan import ScanOptions, VolumePrediction, gather_volume
from sammix.inference.settling import Work, settle_all
from sammix.inference.shards import Shard, digest_of
from sammix.inference.shared_bucket import SharedBucket
from sammix.inference.shared_folder import SharedFolder
from sammix.inference.sharing import SharedSegmenter
from sammix.inference.slice_records import SLICE_COLUMNS, slice_records
from sammix.inference.spreading import Start, spread_all
from sammix.inference.statistics import organ_statistics
from sammix.io import Case
from sammix.io.limits import TooLargeForNow
from sammix.io.remote import at_hand
from sammix.io.volume import Volume
from sammix.io.writers.mask_format import SUFFIX, MaskFormat, check_source, write_scan_mask
from sammix.log import say, warn
from sammix.networks.interface import Segmenter
from sammix.networks.quality import Quality

SHOWN = 10  # names of scans in one line
SAID = 3  # scans of which the same warning is said

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
        page: draws what the run's page shows of a scan; None: nothing.
        index: draws the run's page, of all scans; None: there is no page.
        smallest_part, every_slice: what :func:`~sammix.inference.scan.predict_volume` takes.
        model: what outputs call the model; None: by its network's name, for which it is loaded before all else.
        model_sha256: of the model's content, recorded in the manifest; None where it is not known.
        quality: the model's, where it was calibrated: it estimates how good each mask is.
    """

    organ: str
    mask_format: MaskFormat = "nifti"
    preview: PreviewWriter | None = None
    page: PageDrawer | None = None
    index: IndexDrawer | None = None
    smallest_part: float = SMALLEST_PART
    every_slice: bool = False
    model: str | None = None
    model_sha256: str | None = None
    quality: Quality | None = None


@dataclass(frozen=True)
class PredictOptions:
    """How scans are gone through.

    Attributes:
        series: a SeriesInstanceUID, to do that series alone.
        overwrite: write into a folder that holds something already.
        skip_done: go on with a folder that an earlier run wrote, and leave what it did; beside others, if some are at
            work there.
        batch_size: slices that go through the network together.
        at_once: scans that go through the network at once, and share its batches: to keep a GPU busy.
        shard: do only this part of the scans; ``skip_done`` goes with it.
        engine: several processes that do the scans; None: this one does. ``load`` is then called in each of them, and
            it and what draws pictures must be functions that can be sent there.
    """

    series: str | None = None
    overwrite: bool = False
    skip_done: bool = False
    batch_size: int = 4
    at_once: int = 1
    shard: Shard | None = None
    engine: Engine | None = None

    @property
    def goes_on(self) -> bool:
        """Whether the place may hold what others did, and others may be at work there."""
        return self.skip_done or self.shard is not None


def predict(
    load: Callable[[], Segmenter],
    inputs: Sequence[Path | str],
    out: Path | str,
    wanted: OutputOptions,
    how: PredictOptions = PredictOptions(),
) -> int:
    """Segment every scan found in ``inputs`` and write its mask, its pictures, and the run's manifest and page.

    Args:
        load: brings the network, once a process, after inputs and ``out`` are known to be usable.
        inputs: scans, folders, archives; texts are addresses in an object store.
        out: the folder to write into; a text is an address in an object store.
        wanted: what is written of each scan.
        how: how the scans are gone through.

    Returns:
        How many scans and inputs failed; each is named in the manifest, and the others are done.

    Raises:
        InputError: no input holds a scan.
        OutputError: ``out`` holds something already, or masks of another model, or of another number of shards; or
            another process writes there, and the work is not to be shared with it.
        SammixError: every scan failed.
    """
    found = find_scans(inputs, how.series)
    for line in found.remarks:
        say(line)
    for line in found.problems:
        warn(line)
    part, shard = _part(found.scans, how.shard)
    to = SharedBucket(out) if isinstance(out, str) else SharedFolder(out)

    def check() -> None:
        to.check(allowed=how.overwrite or how.goes_on, shared=how.goes_on)

    check()
    run = _Run(load, to, wanted, how.batch_size)
    manifest = Manifest(to, run.settings, found.inputs, shard, wanted.index)
    with to.joined(check, partial(manifest.begin, keep=how.goes_on), manifest.end):
        return _predict_all(run, part, manifest, how) + found.refused


def _part(scans: dict[str, Case], shard: Shard | None) -> tuple[dict[str, Case], Record | None]:
    """Take the scans of a shard; tell what all shards must agree on."""
    if shard is None:
        return scans, None
    origins = {name: origin(case) for name, case in scans.items()}
    part = {name: case for name, case in scans.items() if shard.holds(origins[name])}
    say(f"shard {shard}: {len(part)} of {len(scans)} scans")
    facts = {"shard": str(shard), "scans": len(part), "of_scans": len(scans), "set": digest_of(origins.values())}
    return part, facts


@dataclass(frozen=True)
class _Run:
    """What is the same for all scans."""

    load: Callable[[], Segmenter]
    to: Destination
    wanted: OutputOptions
    batch_size: int
    said: Counter[str] = field(default_factory=Counter)

    def warn_of(self, name: str, warning: str) -> None:
        """Say what is odd about a scan; what is odd about many is said of the first few alone."""
        self.said[warning] += 1
        if self.said[warning] <= SAID:
            warn(f"{name}: {warning}")
        if self.said[warning] == SAID + 1:
            say(f"of further scans this is said in manifest.json alone: {warning}")

    @cached_property
    def segmenter(self) -> Segmenter:
        """The network, loaded when it is first asked for."""
        return self.load()

    @property
    def settings(self) -> Record:
        """What the manifest says of all scans."""
        return {
            "sammix": __version__,
            "model": self.wanted.model or self.segmenter.name,
            "model_sha256": self.wanted.model_sha256,
            "organ": self.wanted.organ,
            "format": self.wanted.mask_format,
            "smallest_part": self.wanted.smallest_part,
            "every_slice": self.wanted.every_slice,
        }


def _predict_all(run: _Run, scans: dict[str, Case], manifest: Manifest, how: PredictOptions) -> int:
    """Do the scans that are not done; returns how many failed."""
    files, there = ("mask",) if run.wanted.preview is None else ("mask", "preview"), run.to.files()
    scans = {with_digest(c) if manifest.holds_another(name, origin(c)) else name: c for name, c in scans.items()}
    todo = {name: case for name, case in scans.items() if not manifest.is_done(name, files, there)}
    if len(todo) < len(scans):
        say(f"{len(scans) - len(todo)} of {len(scans)} scans are done already")
    if how.engine and todo:
        start = Start(uuid4().hex, partial(_start, replace(run)))  # a copy: the network, if loaded, stays here
        return _checked(spread_all(how.engine, todo, run.to, manifest, start), scans, manifest)
    numbers = count(1)

    def announced(name: str) -> None:
        say(f"[{next(numbers)}/{len(todo)}] {name}")

    stop = None
    if how.at_once > 1 and todo:
        shared = SharedSegmenter(run.segmenter, run.batch_size)
        run, stop = replace(run, load=lambda: shared), shared.stop
    work = partial(_attempt, run, announced)
    return _checked(settle_all(todo, run.to, manifest, work, how.at_once, stop), scans, manifest)


def _start(run: _Run) -> Work:
    """Begin in another process: load the network there."""
    _ = run.segmenter
    return partial(_attempt, run, lambda _: None)


def _checked(failed: int, scans: dict[str, Case], manifest: Manifest) -> int:
    """Say which masks want a look; raise SammixError where nothing but failures came."""
    _say_which_to_look_at([name for name in scans if manifest.statistics.get(name, {}).get("look")], len(scans))
    if scans and failed == len(scans):
        raise SammixError(f"none of {failed} scans could be segmented; see {manifest.to.place}/manifest.json")
    return failed


def _say_which_to_look_at(names: list[str], count: int) -> None:
    if names:
        more = f" and {len(names) - SHOWN} more, see statistics.csv" if len(names) > SHOWN else ""
        verb = "wants" if len(names) == 1 else "want"
        say(f"{len(names)} of {count} masks {verb} a look: {', '.join(names[:SHOWN])}{more}")


def _attempt(run: _Run, announced: Callable[[str], None], name: str, case: Case) -> Steps[tuple[Record, Record | None]]:
    """Do one scan, whatever is wrong with it; returns its manifest entry and its statistics.

    Args:
        run: what is the same for all scans.
        announced: called with the name when it is the scan's turn. Nothing is said of a scan before.
        name: of the scan.
        case: the scan.
    """
    in_turn = False
    try:
        with at_hand(case) as opened:
            check_source(opened.image, bool(opened.files), run.wanted.mask_format)
            volume = _read_if_small(opened)
            yield
            in_turn = True
            announced(name)
            return (yield from _predict_one(run, name, opened, volume or opened.read()))
    except (SammixError, MemoryError) as error:
        problem = str(error) or "not enough memory for this scan"
    except Exception as error:  # ours, but the other scans are not to wait for us
        problem = f"{case.image}: a fault of sammix itself ({type(error).__name__}: {error}); please report it"
    if not in_turn:
        yield
        announced(name)
    warn(f"failed: {problem}")
    return {"status": "failed", "error": problem}, None


def _read_if_small(case: Case) -> Volume | None:
    """Read a scan, unless it must wait for its turn: see :data:`~sammix.inference.pipeline.READ_AHEAD`."""
    try:
        return case.read()
    except TooLargeForNow:
        return None


def _predict_one(run: _Run, name: str, case: Case, volume: Volume) -> Steps[tuple[Record, Record]]:
    """Segment a scan, and in a second step write its files. Where it fails, none of its files stays.

    Args:
        run: what is the same for all scans.
        name: of the scan.
        case: with its files at hand.
        volume: the scan, in HU.

    Returns:
        Its manifest entry and its statistics.
    """
    wanted = run.wanted
    for warning in volume.warnings:
        run.warn_of(name, warning)
    segmenter, images = run.segmenter, image_numbers(volume.axial(), case.files)
    how = ScanOptions(run.batch_size, name, wanted.smallest_part, wanted.quality, wanted.every_slice)
    with segmenter.in_use() if isinstance(segmenter, SharedSegmenter) else nullcontext():
        gathered = gather_volume(segmenter, volume, how)
    found = gathered.finish(images)
    _say_what_was_found(name, wanted.organ, found)
    yield
    files, problems = _write_files(run, name, case, volume, found)
    for problem in problems:
        warn(f"{name}: {problem}")
    quality = {} if found.quality is None else found.quality.record()
    statistics = organ_statistics(volume, found.mask, found.confidence) | quality
    entry = {
        "status": "done",
        **files,
        "prompt": found.prompt,
        "organ_found": found.organ_found,
        "slices": len(found.presence),
        "slices_with_organ": statistics["slices_with_organ"],
        **found.decision.record(),
        "doubtful_slices": found.doubtful,
        "interpolated_slices": found.interpolated,
        "beyond_slices": found.beyond,
        **quality,
        "warnings": [*volume.warnings, *problems],
    }
    return entry, statistics


def _say_what_was_found(name: str, organ: str, found: VolumePrediction) -> None:
    if not found.organ_found:
        warn(f"{name}: no {organ} found; the mask is empty")
    for slices, what in ((found.interpolated, "interpolated"), (found.beyond, "left to the classifier alone")):
        if slices:
            count = f"{len(slices)} of {len(found.presence)} slices"
            say(f"{name}: {count} {what}; --every-slice puts all through the network")
    for line in found.decision.lines():
        say(f"{name}: {line}")
    if found.quality is not None:
        say(f"{name}: {found.quality.line()}")
    if found.doubtful:
        say(f"{name}: look at these slices first, map and mask contradict each other: {ranges(found.doubtful)}")


def _write_files(
    run: _Run, name: str, case: Case, volume: Volume, found: VolumePrediction
) -> tuple[dict[str, str], Sequence[str]]:
    """Write all files of a scan, or none; returns their names and what the mask's format cannot hold."""
    wanted, staging = run.wanted, run.to.staging
    written = {"mask": f"{name}_{wanted.organ}{SUFFIX[wanted.mask_format]}"}
    try:
        problems = write_scan_mask(
            staging / written["mask"],
            found.mask,
            volume,
            wanted.mask_format,
            files=case.files,
            organ=wanted.organ,
            model=run.segmenter.name,
        )
        written["slices_csv"] = f"{name}_slices.csv"
        write_csv(staging / written["slices_csv"], SLICE_COLUMNS, slice_records(volume, found))
        if wanted.preview is not None:
            written["preview"] = f"{name}_preview.png"
            wanted.preview(staging / written["preview"], found.evidence, name, wanted.organ)
        for key, (file, content) in (wanted.page(name, volume, found) if wanted.page else {}).items():
            written[key] = file
            with atomic_path(staging / file) as temporary:
                temporary.write_bytes(content)
        run.to.deliver(written.values())
    except BaseException:  # Ctrl-C and SIGTERM, too
        run.to.withdraw(written.values())
        raise
    return written, problems
