"""Arguments and options that several verbs share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from sammix.cluster.engine import Engine

Data = Annotated[Path, typer.Argument(help="A prepared store (.h5) or a folder in a supported layout.", metavar="DATA")]
Model = Annotated[
    Path, typer.Argument(help="A run's folder, a saved model's folder or a shipped model's name.", metavar="MODEL")
]
Out = Annotated[Path, typer.Option("--out", help="Where to write; must not exist yet, or be empty.")]
Settings = Annotated[
    list[str] | None, typer.Option("--set", metavar="SECTION.KEY=VALUE", help="Change a setting; may be repeated.")
]
LabelSettings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="data.KEY=VALUE",
        help="How labels and masks are read: data.label, data.ignore, data.undrawn; the model's own by default.",
    ),
]
PatientFrom = Annotated[
    str | None,
    typer.Option(
        "--patient-from",
        metavar="PATTERN",
        help="A regular expression whose one group is the patient in each image's path, such as '(p[0-9]+)_'.",
    ),
]
DeviceName = Annotated[str, typer.Option("--device", help="auto, cpu, cuda, cuda:1 or mps.")]
BatchSize = Annotated[int, typer.Option(min=1, help="Slices at a time.")]
AtOnce = Annotated[
    int, typer.Option("--at-once", min=1, help="Scans that go through the network at once, to keep a GPU busy.")
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Show warnings and errors only.")]
Workers = Annotated[
    int, typer.Option("--workers", min=0, help="How many processes of this machine (extra cluster); 0: this one.")
]
Scheduler = Annotated[
    str | None,
    typer.Option("--scheduler", metavar="ADDRESS", help="A Dask cluster's scheduler, such as tcp://head:8786."),
]
SeriesUid = Annotated[
    str | None, typer.Option("--series", metavar="UID", help="The SeriesInstanceUID of a DICOM series to take alone.")
]
AllParts = Annotated[
    bool,
    typer.Option(
        "--all-parts",
        help="For targets that are not one body, such as lesions: judge each slice alone, keep small parts.",
    ),
]
EverySlice = Annotated[
    bool,
    typer.Option("--every-slice", help="Put all slices through the network, even those that others tell enough of."),
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Write into a folder that holds something already.")]


def first_line(verb: Callable[..., None]) -> str:
    """Give the first line of a verb's help. Named as the short one it is wrapped in lists, and not cut."""
    return (verb.__doc__ or "").partition("\n")[0]


def all_settings(settings: list[str] | None, patient_from: str | None) -> list[str]:
    """Put ``--set`` and ``--patient-from`` together, as lines of ``--set``."""
    import json

    pattern = [] if patient_from is None else [f"data.patient_from={json.dumps(patient_from)}"]  # YAML reads JSON
    return [*(settings or []), *pattern]


def settings_of_run(settings: list[str] | None, patient_from: str | None, resume: bool) -> list[str]:
    """Put the settings of a run together, as :func:`all_settings` does.

    Raises:
        BadParameter: the run is resumed, and there are some.
    """
    lines = all_settings(settings, patient_from)
    if resume and lines:
        raise typer.BadParameter("a resumed run keeps its settings; --set and --patient-from do not go with --resume")
    return lines


def smallest_part(all_parts: bool) -> float:
    """Translate ``--all-parts`` into the share below which a part of a scan's mask is dropped."""
    from sammix.inference.assemble import SMALLEST_PART

    return 0 if all_parts else SMALLEST_PART


def engine_of(workers: int, scheduler: str | None) -> Engine | None:
    """Translate ``--workers`` and ``--scheduler`` into who does the work; None: this process."""
    from sammix.cluster.engine import Engine

    return Engine(workers, scheduler) if workers or scheduler else None


def leave_cleanly_on_sigterm() -> None:
    """Let SIGTERM, as batch systems and containers send it, end this process as Ctrl-C does: records are written.

    Does nothing in a thread, where Python cannot handle signals.
    """
    import signal
    import sys
    import threading

    def leave(number: int, _: object) -> None:
        sys.exit(128 + number)

    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, leave)


def label_count(text: str) -> int | Literal["all"]:
    """Read ``--labels`` of one fit: a number, or ``all``.

    Raises:
        BadParameter: it is neither.
    """
    if text == "all":
        return "all"
    if not _is_number(text):
        raise typer.BadParameter(f"--labels takes a number or 'all', not '{text}'")
    return int(text)


def label_counts(text: str) -> list[int | None]:
    """Read ``--labels`` of a grid: numbers above 0 or ``all`` (None), separated by commas.

    Raises:
        BadParameter: there is anything else in it.
    """
    words = [word.strip() for word in text.split(",") if word.strip()]
    if not all(word == "all" or (_is_number(word) and int(word) > 0) for word in words):
        raise typer.BadParameter(f"--labels takes numbers above 0 or 'all', separated by commas, not '{text}'")
    return [None if word == "all" else int(word) for word in words]


def _is_number(text: str) -> bool:
    """Tell whether ``int`` can read it: superscripts are digits too, but no numbers to it."""
    return text.isascii() and text.isdigit()
