"""Check what a call is given, before anything is read."""

from __future__ import annotations

import os
from numbers import Integral
from pathlib import Path
from typing import TypeAlias

from sammix.errors import ConfigError

PathLike: TypeAlias = str | os.PathLike[str]


def as_path(value: object, what: str) -> Path:
    """A path that was given as a string or a path.

    Raises:
        ConfigError: as something else.
    """
    if not isinstance(value, str | os.PathLike):
        raise ConfigError(f"{what} must be a path (a string or pathlib.Path), not {type(value).__name__}")
    return Path(os.fsdecode(value)).expanduser()


def whole_number(value: object, name: str, least: int, otherwise: str = "") -> int:
    """A number of Python's or numpy's as Python's.

    Args:
        name: of the argument.
        least: that it may be.
        otherwise: what else it may be, in words, for the message.

    Raises:
        ConfigError: it is no whole number, or below ``least``.

    >>> whole_number(4, "batch_size", least=1)
    4
    """
    if isinstance(value, Integral) and not isinstance(value, bool) and int(value) >= least:
        return int(value)
    raise ConfigError(f"{name} must be a whole number, at least {least}{otherwise}, not {value!r}")
