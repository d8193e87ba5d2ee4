"""The errors that sammix raises on purpose: each is one clear line for the person at the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path


class SammixError(Exception):
    """Something the user can mend. ``str(error)`` is one line: what is wrong and what to do.

    The command line prints that line and leaves with exit code 2; nothing else is caught.
    """


class InputError(SammixError):
    """A file or folder that cannot be used.

    >>> str(InputError("scan.nii.gz", "the file is empty", "copy it again"))
    'scan.nii.gz: the file is empty; copy it again'
    """

    def __init__(self, path: str | Path, problem: str, remedy: str) -> None:
        super().__init__(" ".join(f"{path}: {problem}; {remedy}".splitlines()))  # a name in a table may hold line ends
        self.path, self.problem, self.remedy = Path(path), problem, remedy

    def __reduce__(self) -> tuple[type[InputError], tuple[Path, str, str]]:
        """Let it pass from another process: pickle would call ``__init__`` with the message alone."""
        return type(self), (self.path, self.problem, self.remedy)


class OutputError(InputError):
    """A file or folder that cannot be written."""


class ConfigError(SammixError):
    """A preset, key or value that does not exist or does not fit."""


class WeightsError(SammixError):
    """Pretrained weights that are missing, damaged or of another network."""


class MissingExtraError(SammixError):
    """Packages that come with one of sammix's extras and are not installed."""


@contextmanager
def explained(notes: Sequence[str]) -> Iterator[None]:
    """Let an InputError also say what else was found: it may be the cause.

    >>> with explained(["unreadable beside the scan: 1 × empty file (003.dcm)"]):
    ...     raise InputError("ct", "slices are missing", "export them again")
    Traceback (most recent call last):
    sammix.errors.InputError: ct: slices are missing (unreadable beside the scan: 1 × empty file (003.dcm)); export ...
    """
    try:
        yield
    except InputError as error:
        if not notes:
            raise
        raise type(error)(error.path, f"{error.problem} ({'; '.join(notes)})", error.remedy) from error


@contextmanager
def needs_extra(extra: str, what: str) -> Iterator[None]:
    """Turn an import that fails into the command that mends it.

    Args:
        extra: of sammix, with the packages that are imported within.
        what: needs them, in words.

    Raises:
        MissingExtraError: an import fails.

    >>> with needs_extra("baselines", "the nnunet-style network"):
    ...     import monai
    """
    try:
        yield
    except ImportError as error:
        remedy = f'pip install "sammix[{extra}]"'
        raise MissingExtraError(f"{what} needs packages that cannot be imported ({error}); {remedy}") from error
