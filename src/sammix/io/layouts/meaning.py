"""What a data set says of the numbers in its masks."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from sammix.errors import InputError
from sammix.io.dataset import Case, listing
from sammix.io.label_names import Names, ignored_by, labels_of
from sammix.io.layouts.conventions import usual_labels
from sammix.io.layouts.label_table import find_label_table
from sammix.io.readers.formats import stem
from sammix.io.readers.segments import organ_segments


@dataclass(frozen=True)
class Meaning:
    """Which numbers are the organ's, for all masks that have no names of their own.

    Attributes:
        organ: the one that is wanted.
        table: the file that names the labels; None: there is none.
        names: the labels that it names.
    """

    organ: str
    table: Path | None = None
    names: Names | None = None

    @classmethod
    def of(cls, root: Path, organ: str) -> Meaning:
        """Read the table of labels in a data set's folder, if there is one.

        Raises:
            InputError: it cannot be read.
        """
        found = find_label_table(root)
        return cls(organ) if found is None else cls(organ, *found)

    @property
    def labels(self) -> tuple[int, ...] | None:
        """The organ's numbers; None where nothing names them."""
        return None if self.names is None else labels_of(self.organ, self.names)

    @property
    def problems(self) -> tuple[str, ...]:
        """Say that the organ is not among the labels."""
        if not self.names or self.labels or self.table is None:
            return ()
        there = listing([*self.names], most=8)
        return (f"no mask is used: {self.table.name} has no label “{self.organ}” (it has: {there})",)

    def given_to(self, case: Case) -> Case:
        """Tell a case what its mask's numbers mean. Its mask is left out where the organ is not among the labels."""
        if case.mask is None:
            return case
        try:
            segments = organ_segments(case.mask, self.organ)
        except InputError:  # damaged: reading it will say so
            return case
        if segments is not None:
            return replace(case, labels=segments)
        if self.problems:
            return replace(case, mask=None)
        if self.names and stem(case.mask).lower().endswith(self.organ.lower()):  # it may hold the organ alone, as 1
            return replace(case, usual=self.labels, ignore=ignored_by(self.names))
        if self.names:
            return replace(case, labels=self.labels, ignore=ignored_by(self.names))
        return replace(case, usual=usual_labels(case.image, self.organ))
