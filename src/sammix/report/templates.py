"""Load the pages' templates, and format what they say. Nothing heavy is imported: a run's page has no charts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from jinja2 import Environment, FileSystemLoader, StrictUndefined

if TYPE_CHECKING:
    from sammix.evaluation.schema import Stat


def environment() -> Environment:
    """Load the templates beside this file, with everything escaped and nothing silently missing."""
    env = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    env.filters.update(number=number, percent=percent, spread=spread)
    return env


def number(value: float | None, digits: int = 3) -> str:
    """Format a figure, or a dash where it is unknown.

    >>> number(0.98765), number(1234.5, 0), number(None)
    ('0.988', '1,234', '–')
    """
    return "–" if value is None else f"{value:,.{digits}f}"


def percent(value: float | None) -> str:
    """Format a share.

    >>> percent(0.125)
    '12 %'
    """
    return "–" if value is None else f"{100 * value:.0f} %"


def spread(stat: Stat, digits: int = 3) -> str:
    """Format ``mean ± std``, as far as they are known."""
    return number(stat.mean, digits) + ("" if stat.std is None else f" ± {number(stat.std, digits)}")
