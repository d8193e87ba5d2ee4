"""Log a fit for TensorBoard: what ``log.jsonl`` holds, epoch by epoch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sammix.config import FitConfig
from sammix.errors import needs_extra
from sammix.training.run_folder import RunFolder

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

FOLDER = "tensorboard"
TIME, EPOCH = "time", "epoch"


@contextmanager
def tracked(run: RunFolder, asked: FitConfig) -> Iterator[None]:
    """Log what is written to the run's ``log.jsonl`` within for TensorBoard too, if that is asked for.

    Raises:
        MissingExtraError: it is, but the extra ``tracking`` is not installed.
    """
    if not asked.tensorboard:
        yield
        return
    board = TensorBoardLog(run.path / FOLDER)
    run.listeners.append(board)
    try:
        yield
    finally:
        run.listeners.remove(board)
        board.close()


class TensorBoardLog:
    """Writes an event file, from the first line on that it is told of.

    A resumed run adds a file, whose epochs take the place of the same epochs in an earlier one.

    Args:
        folder: of the event files, as ``tensorboard --logdir`` takes it; made if need be.

    Raises:
        MissingExtraError: the extra ``tracking`` is not installed.
    """

    def __init__(self, folder: Path) -> None:
        with needs_extra("tracking", "fit.tensorboard"):
            from torch.utils.tensorboard import SummaryWriter
        self._open = partial(SummaryWriter, str(folder))
        self._writer: SummaryWriter | None = None

    def __call__(self, line: Mapping[str, Any]) -> None:
        """Log each number of a line of ``log.jsonl`` under its name there, at the line's epoch and time."""
        epoch, when = line[EPOCH], datetime.fromisoformat(line[TIME]).timestamp()
        if self._writer is None:
            self._writer = self._open(purge_step=epoch)
        for name, value in line.items():
            if name not in (TIME, EPOCH) and value is not None:
                self._writer.add_scalar(name, float(value), epoch, walltime=when)
        self._writer.flush()

    def close(self) -> None:
        """Finish the file."""
        if self._writer is not None:
            self._writer.close()
