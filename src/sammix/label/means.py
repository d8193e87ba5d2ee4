"""What the processes that have a network need to know. Nothing here imports torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sammix.label.places import Places


@dataclass(frozen=True)
class Means:
    """What the processes need.

    Attributes:
        data, organ: what is labelled.
        project: the labelling's folder.
        model: to begin with; None: SAM as it came, until something is learned.
        preset: whose network and settings are used.
        threads: how many cores each process may take.
    """

    data: Path
    organ: str
    project: Path
    model: Path | None = None
    preset: str = "lite"
    threads: int = 2

    @property
    def places(self) -> Places:
        """Where things lie in the labelling's folder."""
        return Places(self.project)
