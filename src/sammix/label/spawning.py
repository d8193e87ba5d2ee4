"""Start the processes that have a network: what they import is heavy, and none of it is imported here."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sammix.label.brain import Means


def start_looker(context: Any, means: Means, model: Path | None) -> tuple[Any, Any]:
    """Start the process that proposes; return our end of its connection, and the process."""
    ours, theirs = context.Pipe()
    given = (means.data, means.organ, means.project, means.preset, model, means.threads)
    process = context.Process(target=_look, args=(theirs, *given), daemon=True, name="sammix-looker")
    process.start()
    theirs.close()
    return ours, process


def start_learner(
    context: Any, means: Means, run: Path, before: Path | None, *, quick: bool, own_only: bool
) -> tuple[Any, Any]:
    """Start the process that learns; return our end of its connection, and the process."""
    ours, theirs = context.Pipe(duplex=False)
    given = (means.data, means.organ, means.project, run, quick, means.preset, before, own_only, means.threads)
    process = context.Process(target=_learn, args=(theirs, *given), daemon=True, name="sammix-learner")
    process.start()
    theirs.close()
    return ours, process


def _look(connection: Any, *given: Any) -> None:
    import os

    os.nice(5)  # the page comes first
    from sammix.label.looker import Work, run_looker

    run_looker(connection, Work(*given))


def _learn(connection: Any, *given: Any) -> None:
    import os

    os.nice(5)
    from sammix.label.learner import Lesson, run_learner

    run_learner(connection, Lesson(*given))
