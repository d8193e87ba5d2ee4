"""The errors that sammix raises on purpose: each is one clear line for the person at the terminal."""

from __future__ import annotations

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


class OutputError(InputError):
    """A file or folder that cannot be written."""


class ConfigError(SammixError):
    """A preset, key or value that does not exist or does not fit."""


class WeightsError(SammixError):
    """Pretrained weights that are missing, damaged or of another network."""
