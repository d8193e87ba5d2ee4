"""Start the processes that have a network: what they import is heavy, and none of it is imported here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sammix.label.means import Means

NICE, NICE_FULL = 5, 10
"""The page comes first, then what a person waits for: proposals and quick passes; then a full fit."""


def start_looker(context: Any, means: Means) -> tuple[Any, Any]:
    """Start the process that proposes; return our end of its connection, and the process."""
    ours, theirs = context.Pipe()
    process = context.Process(target=_look, args=(theirs, means), daemon=True, name="sammix-looker")
    process.start()
    theirs.close()
    return ours, process


def start_learner(
    context: Any, means: Means, run: Path, before: Path | None, *, quick: bool, own_only: bool
) -> tuple[Any, Any]:
    """Start the process that learns; return our end of its connection, and the process."""
    ours, theirs = context.Pipe(duplex=False)
    lesson = (means, run, quick, before, own_only)
    process = context.Process(target=_learn, args=(theirs, *lesson), daemon=True, name="sammix-learner")
    process.start()
    theirs.close()
    return ours, process


def _look(connection: Any, means: Means) -> None:
    import os

    os.nice(NICE)
    from sammix.label.looker import run_looker

    run_looker(connection, means)


def _learn(connection: Any, means: Means, run: Path, quick: bool, before: Path | None, own_only: bool) -> None:
    import os

    os.nice(NICE if quick else NICE_FULL)
    from sammix.label.learner import Lesson, run_learner

    run_learner(connection, Lesson(means, run, quick, before, own_only))
