"""Choose which patients are measured. A patient that the model knows is left out unless someone asks for it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from sammix.data.lineage import KnownPatient, Lineage
from sammix.data.splits import TEST, TRAIN
from sammix.errors import SammixError
from sammix.io.dataset import listing

ALL, UNSEEN = "all", "unseen"


def choose_split(found: set[str | None], split: str | None, name: str) -> str:
    """Choose the split to evaluate.

    It is the one that was asked for, else ``test`` where the data has splits, else ``unseen``: all patients that the
    model never met. ``all`` and ``unseen`` exist for any data.

    Args:
        found: the splits that the data's cases are in; None or an empty text for a case without one.
        split: what was asked for; None for nothing.
        name: of the data.

    Raises:
        SammixError: the data has no such split.
    """
    known = sorted(value for value in found if value)
    chosen = split or (TEST if known else UNSEEN)
    if chosen not in (ALL, UNSEEN, *known):
        raise SammixError(
            f"{name}: no case is in the split '{chosen}'; the data has {', '.join(known) or 'no splits'}; "
            f"choose one of those, '{UNSEEN}' (all patients that the model never met) or '{ALL}'"
        )
    return chosen


def splits_as_met(patients: Mapping[str, Iterable[str]], dataset: str, lineage: Lineage) -> dict[str, str]:
    """Split the patients of data without splits as the model met them, where it was fitted to this very data.

    Args:
        patients: of the data, each with the names of its cases.
        dataset: the data's name.
        lineage: of the model.

    Returns:
        Patient → ``train``, ``val``, or ``test`` for one that the model never met. Empty where it met none by name.
    """
    met = {patient: _known_by_name(lineage, dataset, (patient, *cases)) for patient, cases in patients.items()}
    if not any(met.values()):
        return {}
    return {patient: TEST if known is None else known.split for patient, known in met.items()}


def _known_by_name(lineage: Lineage, dataset: str, names: Iterable[str]) -> KnownPatient | None:
    """Find the known patient of any of some names; one that the model has learned from comes before others."""
    found = [known for name in dict.fromkeys(names) if (known := lineage.knows(name, dataset, ())) is not None]
    return min(found, key=lambda known: known.split != TRAIN, default=None)


class KnownPatients:
    """The patients of a data set that a model knows, and those that are measured.

    Args:
        lineage: of the model.
        dataset: the data set's name.
        split: what is measured. Of ``test`` and ``unseen``, known patients are left out. Any other split was asked for
            by its name, so they are measured, with a warning.
    """

    def __init__(self, lineage: Lineage, dataset: str, split: str) -> None:
        self.lineage, self.dataset, self.split = lineage, dataset, split
        self.leaves_out = split in (TEST, UNSEEN)
        self.has_content = any(known.digests for known in lineage.patients)
        self._looked_up: set[str] = set()
        self._known: dict[str, KnownPatient] = {}
        self._by_content: set[str] = set()
        self._measured: set[str] = set()

    def look_up(self, patient: str, cases: Iterable[str] = (), digests: Iterable[str] = ()) -> None:
        """Compare a patient with those that the model knows.

        Args:
            patient: its name in the data.
            cases: the names of its cases. Cards of models from before patients were recorded name cases.
            digests: of its cases' content, as far as they were read.
        """
        self._looked_up.add(patient)
        by_name, content = _known_by_name(self.lineage, self.dataset, (patient, *cases)), set(digests) - {""}
        by_content = self.lineage.knows(patient, self.dataset, content)
        if by_content is not None and not content.isdisjoint(by_content.digests):
            self._by_content.add(patient)
        for known in (by_name, by_content):
            if known is not None and (patient not in self._known or known.split == TRAIN):
                self._known[patient] = known

    def admits(self, patient: str) -> bool:
        """Say whether a patient may be measured."""
        return not (self.leaves_out and patient in self._known)

    def measure(self, patient: str) -> None:
        """Note that a patient is measured."""
        self._measured.add(patient)

    @property
    def known_and_measured(self) -> int:
        """How many patients are measured although the model knows them."""
        return len(self._known.keys() & self._measured)

    def warnings(self) -> list[str]:
        """Say what was done about known patients, once all were looked up.

        Raises:
            SammixError: nobody is left to measure.
        """
        if not self._known:
            return []
        if self.leaves_out:
            return self._say_left_out()
        measured = [patient for patient in self._known if patient in self._measured]
        if not measured:
            return []
        return [
            f"of {len(self._measured)} measured patients the model knows {len(measured)} ({self._how(measured)}): "
            f"{listing(measured)}; figures on them do not show how it does on patients that it never met"
        ]

    def _say_left_out(self) -> list[str]:
        patients = list(self._known)
        if self._looked_up <= self._known.keys():
            raise SammixError(
                f"{self.dataset}: nobody is left to measure in the split '{self.split}': the model knows "
                f"{listing(patients)} {self._told_by(patients)} ({self._how(patients)}); give it other patients (those "
                f"that only have the same names as others need another name for their data set), or measure these all "
                f"the same, with a warning: --split {ALL}"
            )
        known = f"{self._told_by(patients)} ({self._how(patients)})"
        return [f"left out {len(patients)} patients that the model knows {known}: {listing(patients)}"]

    def _told_by(self, patients: Sequence[str]) -> str:
        """Say how they were recognised. Scans of patients whose names are known are not read."""
        by_content = len(self._by_content.intersection(patients))
        return "by content" if by_content == len(patients) else "by name or content" if by_content else "by name"

    def _how(self, patients: Sequence[str]) -> str:
        """Say what the model has to do with patients."""
        learned = sum(self._known[patient].split == TRAIN for patient in patients)
        chosen = len(patients) - learned
        parts = [f"has learned from {learned}"] if learned else []
        parts += [f"was chosen on {chosen}"] if chosen else []
        return f"it {' and '.join(parts)}"
