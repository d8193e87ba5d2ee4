"""Where things lie in a labelling's folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Places:
    """The files and folders of a labelling.

    >>> Places(Path("study-labels")).answers.as_posix()
    'study-labels/answers.sqlite'
    """

    folder: Path

    @property
    def about(self) -> Path:
        """Which data and which organ it is of."""
        return self.folder / "project.json"

    @property
    def answers(self) -> Path:
        """The record of what annotators said."""
        return self.folder / "answers.sqlite"

    @property
    def masks(self) -> Path:
        """A PNG for each mask."""
        return self.folder / "masks"

    @property
    def models(self) -> Path:
        """A run's folder for each training."""
        return self.folder / "models"

    @property
    def model_in_use(self) -> Path:
        """The name of the model that is in use."""
        return self.folder / "model-in-use"

    @property
    def scans(self) -> Path:
        """Scans that 3D Slicer sent."""
        return self.folder / "scans"

    @property
    def proposed(self) -> Path:
        """Which masks a model proposed to 3D Slicer, a file a scan."""
        return self.folder / "proposed"

    @property
    def exports(self) -> Path:
        """What was taken away."""
        return self.folder / "exports"

    @property
    def cache(self) -> Path:
        """What can be computed again."""
        return self.folder / "cache"

    @property
    def slices(self) -> Path:
        """Every scan's slices on the network's grid."""
        return self.cache / "slices.h5"

    @property
    def spacing(self) -> Path:
        """The size of their pixels, by case."""
        return self.cache / "spacing.json"

    @property
    def features(self) -> Path:
        """What the frozen stages make of them."""
        return self.cache / "features"
