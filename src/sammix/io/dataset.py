"""A data set of cases: what every layout of scans and masks is read as."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from os import SEEK_END
from pathlib import Path

from sammix.errors import InputError, explained
from sammix.io.archive import unpacked
from sammix.io.case_names import as_text
from sammix.io.label_rules import LabelRules, Undrawn
from sammix.io.patient_names import patient_doubts, patient_of
from sammix.io.presence import PRESENCE, Presence, read_presence
from sammix.io.readers.formats import read_volume
from sammix.io.readers.mask import read_mask
from sammix.io.volume import Volume

PIECE = 16 * 1024
"""Bytes taken from the start, the middle and the end of a file for the fingerprint."""


@dataclass(frozen=True)
class Case:
    """One scan (or one slice), with its mask if it is annotated.

    Attributes:
        name: unique in its data set, fit for a file name.
        image: a file, or a folder with a DICOM series.
        mask: its mask; None where it is not annotated.
        patient: who it is of; splits are made by patient.
        source: the hospital or collection it comes from.
        split: ``train``, ``val`` or ``test`` where the data says so.
        label: 1 or 0, whether a case of one slice shows the organ; -1 where the data says that it is not known; None
            where it does not say.
        hu_range: HU of black and white, for pictures.
        labels: the mask values, or the names of segments, that count as the organ; None counts all above 0, if that
            is one value.
        usual: the mask values that count by the habit of such data sets, in masks that hold several.
        ignore: the mask values that mean “nobody looked here”.
        undrawn: what an empty slice of a mask of several slices says, see :class:`~sammix.io.label_rules.LabelRules`.
        presence: which slices of a scan show the organ, where the data says so beside its mask.
        series: its SeriesInstanceUID, where its folder holds several.
        files: of a scan in DICOM, its files, wherever below ``image`` they lie; empty where they are not known yet.
        notes: what was found around it, each a line for the user.
        inside: where it is in ``image``, if that is a zip archive.
        url: where it is fetched from, if it is in an object store; ``image`` is then no path of this machine.
    """

    name: str
    image: Path
    mask: Path | None
    patient: str
    source: str
    split: str | None = None
    label: int | None = None
    hu_range: tuple[float, float] | None = None
    labels: tuple[int | str, ...] | None = None
    ignore: tuple[int, ...] = ()
    undrawn: Undrawn = "unknown"
    presence: Presence | None = None
    series: str | None = None
    files: tuple[Path, ...] = ()
    notes: tuple[str, ...] = ()
    inside: str | None = None
    usual: tuple[int, ...] | None = None
    url: str | None = None

    @contextmanager
    def opened(self) -> Iterator[Case]:
        """Give the case with its files at hand: those in an archive are unpacked for as long as this is open."""
        if self.inside is None:
            yield self
        else:
            with unpacked(self.image, self.inside) as root:
                image = root / self.inside
                yield replace(self, image=image, files=tuple(image / file for file in self.files), inside=None)

    def read(self) -> Volume:
        """Read the scan, in HU. Raises InputError naming what is wrong with it."""
        with self.opened() as case, explained(self.notes):
            volume = read_volume(case.image, self.hu_range, self.series, case.files)
        return replace(volume, warnings=self.notes + volume.warnings)

    def read_mask(self, volume: Volume) -> Volume | None:
        """Read its mask on ``volume``'s own grid, or None: 0, 1, or 255 where nobody looked; see ``readers.mask``."""
        return None if self.mask is None else read_mask(self.mask, volume, self.labels, self.ignore, self.usual)


@dataclass(frozen=True)
class Dataset:
    """Cases, and what the folder says of them all.

    Attributes:
        layout: how the folder was understood: ``slice table``, ``LiTS`` …
        organ: what the masks show.
        window_level, window_width: in HU, where the data brings its own window.
        problems: what does not fit together, each a line for the user.
        rules: the user's, under which it was opened.
    """

    root: Path
    name: str
    layout: str
    organ: str
    cases: tuple[Case, ...]
    window_level: float | None = None
    window_width: float | None = None
    problems: tuple[str, ...] = ()
    rules: LabelRules = field(default_factory=LabelRules)

    def under(self, rules: LabelRules | None) -> Dataset:
        """Let the user's rules hold for every case, before what the data itself says; and what ``presence.csv`` says.

        Args:
            rules: None where nobody is going to learn from the labels or measure by them: then what is wrong with them
                is a problem, and no error.

        Raises:
            InputError: a case's patient is not known, or ``rules.patient_from`` finds none in its path; or
                ``presence.csv`` is not as :func:`~sammix.io.presence.read_presence` describes it.
        """
        asked, presence, problems = rules or LabelRules(), dict[str, Presence](), self.problems
        cases = self.cases
        try:
            presence, doubts = read_presence(self.root, self.organ, [case.name for case in cases])
            if presence and any(case.label is not None for case in cases):
                remedy = "keep one of the two"
                raise InputError(self.root / PRESENCE, "stands beside a table of labelled slices", remedy)
            problems += doubts
            cases = tuple(replace(case, patient=patient_of(self.root, case, asked.patient_from)) for case in cases)
            problems += patient_doubts(cases)
        except InputError as error:
            if rules is not None:
                raise
            problems += (str(error),)
            cases = tuple(replace(case, patient=case.patient or case.name) for case in cases)
        cases = tuple(_in_text(_under(asked, case, presence.get(case.name))) for case in cases)
        return replace(self, name=as_text(self.name), cases=cases, problems=problems, rules=asked)

    def fingerprint(self) -> str:
        """Hash the files' names, sizes and contents, labels and splits (SHA-256): a copy has the same.

        Stores, grids of jobs and kept results are recognised by it, so it stays the same over versions of sammix.
        What a later version learns to read of a case counts only where it says something.

        Cheap: at most 48 KiB of each file are read. In a gzip file the last bytes are a checksum of all.

        Raises:
            InputError: a file is no longer there.
        """
        digest = hashlib.sha256()
        for case in sorted(self.cases, key=lambda c: c.image):
            patient = "" if case.patient == case.name else case.patient
            source = "" if case.source == self.name else case.source  # the folder's own name must not count
            facts = (patient, source, case.split, case.label, case.hu_range, case.labels)
            later = (case.ignore, case.undrawn, case.presence)
            digest.update(repr(facts if later == ((), "unknown", None) else (*facts, *later)).encode())
            for file in (*(case.files or _files(case.image)), *_files(case.mask)):
                place = file.relative_to(self.root).as_posix() if file.is_relative_to(self.root) else file.name
                digest.update(place.encode(errors="surrogateescape"))
                digest.update(_content(file))
        return digest.hexdigest()


def _under(rules: LabelRules, case: Case, presence: Presence | None) -> Case:
    labels, ignore = rules.label or case.labels, rules.ignore or case.ignore
    return replace(case, labels=labels, ignore=ignore, undrawn=rules.undrawn, presence=presence)


def _in_text(case: Case) -> Case:
    """Make names text that can be written to any table, though the files' names may hold any bytes."""
    return replace(case, name=as_text(case.name), patient=as_text(case.patient), source=as_text(case.source))


NO_MASK = "images have no mask"


def unpaired(images: Iterable[str], masks: Iterable[str]) -> tuple[str, ...]:
    """Name the images without a mask, and the masks without an image, in a line each."""
    images, masks = list(images), list(masks)
    lone_images, lone_masks = (sorted(set(a) - set(b)) for a, b in ((images, masks), (masks, images)))
    problems = []
    if lone_images:
        problems.append(f"{len(lone_images)} of {len(images)} {NO_MASK}: {listing(lone_images)}")
    if lone_masks:
        problems.append(f"{len(lone_masks)} masks have no image: {listing(lone_masks)}")
    return tuple(problems)


def listing(names: Sequence[str], most: int = 5) -> str:
    """Write names as ``a, b, c and 7 more``, in one line whatever they hold."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    shown = ["".join(letter if letter.isprintable() else "?" for letter in name) for name in names[:most]]
    return ", ".join(shown) + more


def _files(path: Path | None) -> list[Path]:
    if path is None:
        return []
    return sorted(f for f in path.iterdir() if f.is_file()) if path.is_dir() else [path]


def _content(file: Path) -> bytes:
    """Read what tells a file from others: its size, start, middle and end; of a small one, all."""
    try:
        with file.open("rb") as stream:
            size = stream.seek(0, SEEK_END)
            starts = (0, PIECE, 2 * PIECE) if size <= 3 * PIECE else (0, size // 2, size - PIECE)
            pieces = [str(size).encode()]
            for start in starts:
                stream.seek(start)
                pieces.append(stream.read(PIECE))
    except OSError as error:
        raise InputError(file, f"cannot be opened ({error.strerror})", "is it still there?") from error
    return b"".join(pieces)
