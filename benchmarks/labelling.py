"""Dice on unseen patients over the minutes of a person who labels: in the order that the page proposes, and by lot.

    python benchmarks/labelling.py ../shared/data/btcv ../shared/data/liver-slices --out runs/labelling --seeds 3

The first data set is labelled: a slice table, or whole scans in NIfTI. The second is measured on (its split ``test``,
in its window): a slice table. Both have truth. It answers for the person, who says yes or no (2 s; of a whole scan 2 s
for either end of the organ), accepts the mask that the model proposes where its Dice with the truth is at least 0.9
(10 s), and else draws (60 s). Nothing else sees it: labels and masks are taken out of the data before the page's own
parts get it. By lot, a scan is taken, all of its slices are answered, and any one that shows the organ is drawn; then
the next. Work begins with SAM as it came and an organ that nobody has learned; at each of ``Plan.minutes`` a quick pass
goes on from the model in use, and its model is used if the page would use it. A pass that cannot learn yet counts as a
Dice of 0.

Beside both orders: all slices are answered, fifty are drawn by hand, and one full fit learns from them.

What was measured is kept in ``labelling.csv`` and not measured again; answers, drawings and models are kept in
``--out``. So the script can be stopped and started again.
"""

from __future__ import annotations

import argparse
import json
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from labelling_data import Plan, Truth, blinded, test_table, truth_of
from labelling_results import BY_LOT, ONCE, PROPOSED, WAYS, Results

from sammix.config import load_preset
from sammix.data.sampling import Rows
from sammix.data.scan_slices import in_plane
from sammix.data.store import open_store
from sammix.data.table import SliceTable
from sammix.errors import SammixError
from sammix.evaluation.metrics import dice
from sammix.label.collection import open_collection
from sammix.label.events import Events
from sammix.label.helpfulness import Said, StackState, Suggested, in_order, states_of
from sammix.label.learned import is_better
from sammix.label.learner import Lesson, learn
from sammix.label.learning_data import prepare
from sammix.label.looks import KeptFeatures, doubt_of, presence_of
from sammix.label.mask_files import Mask
from sammix.label.means import Means
from sammix.label.project import LabelProject
from sammix.label.proposals import Asked, propose
from sammix.label.service import Service
from sammix.models.card import read_card
from sammix.models.saved import load_model
from sammix.networks.interface import Network
from sammix.training.batches import Batch
from sammix.training.validation import validate

ANSWER, DRAWING, ACCEPTED = 2, 60, 10
"""Seconds that each takes."""

GOOD = 0.9
"""Dice with the truth from which on a person leaves a proposal as it is."""

WHO = "the truth"
T = TypeVar("T")
AT_ONCE = 8
PICTURE = Path(__file__).parents[1] / "docs" / "examples" / "labelling.svg"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pool", type=Path)
    parser.add_argument("test", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--since", type=int, default=0, help="the first seed that counts in the tests of the order")
    parser.add_argument("--ways", choices=WAYS, nargs="+", default=WAYS, help="several processes may share the work")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    plan = Plan(arguments.pool, arguments.test, arguments.out)
    results = Results(Path(__file__).with_suffix(".csv"))
    for turns in range(1, len(plan.minutes) + 1):  # of all seeds the first times first: what is kept is comparable
        for seed in range(arguments.seeds):
            for way in arguments.ways:
                run(plan, way, seed, turns, results)
    print(results.markdown())
    print("\n".join(results.tests(arguments.since)))
    PICTURE.write_text(results.picture(), encoding="utf-8")


def run(plan: Plan, way: str, seed: int, turns: int, results: Results) -> None:
    """Label in one way until the model has learned so many times, and keep what was measured."""
    data = blinded(plan)
    if results.done(way, seed) >= (1 if way == ONCE else turns):
        return
    bench = Bench(plan, data, plan.out / f"{way.replace(' ', '-').replace(',', '')}-{seed}")
    with bench.opened(seed) as service:
        person = Person(service, truth_of(plan.pool))
        if way == ONCE:
            person.answer_all()
            person.draw_by_lot(plan.drawings, seed)
            bench.teach(person, 1, quick=False)
            results.add(way, seed, bench.measured(person, 1))
            return
        for turn, minutes in enumerate(plan.minutes[:turns], start=1):
            label(bench, person, way, 60 * minutes, seed)
            bench.teach(person, turn, quick=True)
            if turn > results.done(way, seed):
                results.add(way, seed, bench.measured(person, turn))


def label(bench: Bench, person: Person, way: str, until: float, seed: int) -> None:
    """Let the person work until the time is over or nothing is left to do."""
    while person.seconds < until:
        if way == PROPOSED:
            bench.look(person.service)
        states = states_of(person.service, bench.said_of)
        chance = [seed, person.service.project.record.count()]
        if (step := any_of(states, chance) if way == BY_LOT else first_of(in_order(states))) is None:
            return
        person.do(step, bench.network)


def first_of(order: Sequence[Suggested]) -> Suggested | None:
    """What the page puts first; None where it asks for nothing."""
    return order[0] if order[0].todo != "nothing" else None


def any_of(states: Sequence[StackState], seed: Sequence[int]) -> Suggested | None:
    """Any scan in which something is to be done: all of its slices are answered, and then any that shows the organ is
    drawn before the next scan is taken. None where nothing is left."""
    rng, todo = np.random.default_rng(seed), []
    for one in states:
        undrawn = [
            k for k, (label_, drawn) in enumerate(zip(one.labels, one.drawn, strict=True)) if label_ == 1 > drawn
        ]
        if None in one.labels:
            todo.append(Suggested(one.number, None, "answer", "by lot", 0.0))
        elif undrawn:
            k = undrawn[int(rng.integers(len(undrawn)))]
            todo.append(Suggested(one.number, k, "draw", "by lot", 0.0 if any(one.drawn) else 1.0))
    begun = [one for one in todo if one.rank]  # its scan was answered last, and has no drawing yet
    return (begun or todo)[int(rng.integers(len(begun or todo)))] if todo else None


@dataclass
class Bench:
    """The page's parts without the page: its store, its proposals, its looks and its learning."""

    plan: Plan
    data: Path
    folder: Path
    model: Path | None = None
    network: Network | None = None
    said: dict[str, dict[int, tuple[float, float | None]]] = field(default_factory=dict)

    @contextmanager
    def opened(self, seed: int) -> Iterator[Service]:
        """Open the labelling, whose scans are listed in an order of this seed."""
        collection = open_collection(self.data, None)
        order = np.random.default_rng([seed, 0]).permutation(len(collection.stacks))
        collection = replace(collection, stacks=tuple(collection.stacks[n] for n in order))
        with LabelProject.opened(self.folder, self.data, collection.dataset.organ) as project:
            cache, features = project.places.cache, self.plan.out / "features"
            if not (cache / "features").exists():  # the same for all, and may be used by several at once
                features.mkdir(exist_ok=True)
                cache.mkdir(exist_ok=True)
                (cache / "features").symlink_to(features.resolve(), target_is_directory=True)
            self.base = prepare(self._means(project.organ), load_preset(self.plan.preset).data.size, _quiet)
            service = Service(project, collection, Events())
            for number in range(len(collection.stacks)):
                service.opened(number)  # as if a person had gone through the list once
            yield service

    def _means(self, organ: str) -> Means:
        return Means(self.data, organ, self.folder, preset=self.plan.preset, threads=1)

    def teach(self, person: Person, turn: int, quick: bool) -> None:
        """Learn what is not learned yet, and take the model into use if the page would."""
        run, began = self._run(turn), time.process_time()
        if not (run / "cpu.json").is_file():
            shutil.rmtree(run, ignore_errors=True)
            lesson = Lesson(self._means(person.service.project.organ), run, quick, self.model)
            # So far there may be only slices that show the organ, or only held-out patients.
            with suppress(SammixError):
                learn(lesson, _quiet)
            run.mkdir(parents=True, exist_ok=True)
            (run / "cpu.json").write_text(json.dumps(round(time.process_time() - began, 1)), encoding="utf-8")
        if self._is_used(turn):
            self.model, self.network, self.said = run, load_model(run), {}

    def measured(self, person: Person, turn: int) -> dict[str, float | None]:
        """Per-slice Dice of automatic masks on the test patients, and the AUC of presence, of the model in use."""
        own = {"used": float(self._is_used(turn)), "pass_cpu_s": json.loads((self._run(turn) / "cpu.json").read_text())}
        if self.network is None:
            return {**person.counts(), **own, "dice": 0.0, "auc": None}
        table = test_table(self.plan, open_store(self.base))
        batches = self._features(table).batches(np.arange(len(table)), AT_ONCE)
        found = validate(self.network, batches, np.asarray(table.patient)).metrics
        return {**person.counts(), **own, "dice": found["val_dice"], "auc": found["val_auc"]}

    def look(self, service: Service) -> None:
        """Have the model say of every slice what the page's list needs: doubt only of those that may be drawn."""
        if self.network is None or self.said:
            return
        table = open_store(self.base)
        features, rows = self._features(table), np.arange(len(table))
        opened = [service.opened(number) for number in range(len(service.collection.stacks))]
        answers = {p: one for stack in opened for p, one in zip(stack.places, service.answers(stack), strict=True)}
        places = [(str(case), int(z)) for case, z in zip(table.case, table.index, strict=True)]
        drawable = np.array([answers[p].label != 0 and answers[p].mask is None for p in places])
        for (case, z), presence in zip(places, self._told(presence_of, features, rows), strict=True):
            self.said.setdefault(case, {})[z] = (presence, None)
        for row, doubt in zip(rows[drawable], self._told(doubt_of, features, rows[drawable]), strict=True):
            case, z = places[row]
            self.said[case][z] = (self.said[case][z][0], doubt)

    def _told(self, ask: Callable[[Network, Batch], list[T]], features: KeptFeatures, rows: Rows) -> Iterator[T]:
        assert self.network is not None
        for batch in features.batches(rows, AT_ONCE):
            yield from ask(self.network, batch)

    def said_of(self, case: str) -> Said:
        """What the model in use says of a scan."""
        return self.said.get(case, {})

    def _run(self, turn: int) -> Path:
        return self.folder / "models" / f"model-{turn}"

    def _is_used(self, turn: int) -> bool:
        report = self._run(turn) / "label.json"
        return report.is_file() and is_better(json.loads(report.read_text(encoding="utf-8")))

    def _features(self, table: SliceTable) -> KeptFeatures:
        assert self.network is not None
        assert self.model is not None
        card = read_card(self.model)
        return KeptFeatures(self.network, table, card.config.model, card.base_sha256, self.plan.out / "features")


@dataclass(frozen=True)
class Person:
    """Answers and draws as the truth does. What was done so far is in the labelling's own record."""

    service: Service
    truth: Mapping[str, Truth]

    def do(self, step: Suggested, network: Network | None) -> None:
        """Do what is asked for; where no slice is named, answer the whole stack."""
        stack = self.service.opened(step.stack)
        if step.todo == "draw":
            assert step.slice is not None
            self._draw(step.stack, step.slice, network)
        elif stack.stack.whole and (shows := [k for k in range(len(stack)) if self._truth(step.stack, k)[0]]):
            self.service.mark(WHO, step.stack, shows[0], shows[-1])
        else:
            for k in range(len(stack)) if step.slice is None else [step.slice]:
                self.service.say(WHO, step.stack, k, self._truth(step.stack, k)[0])

    def answer_all(self) -> None:
        """Answer every slice that is open."""
        for number in range(len(self.service.collection.stacks)):
            if any(one.label is None for one in self.service.answers(self.service.opened(number))):
                self.do(Suggested(number, None, "answer", "", 0.0), None)

    def draw_by_lot(self, count: int, seed: int) -> None:
        """Draw, by hand, ``count`` slices of those that were answered yes."""
        numbers = range(len(self.service.collection.stacks))
        yes = [
            (number, k)
            for number in numbers
            for k, one in enumerate(self.service.answers(self.service.opened(number)))
            if one.label == 1
        ]
        for n in np.random.default_rng([seed, 1]).permutation(len(yes))[:count]:
            number, k = yes[n]
            self._draw(number, k, None)

    @property
    def seconds(self) -> float:
        """What all that is on record took."""
        return 60 * self.counts()["minutes"]

    def counts(self) -> dict[str, float]:
        """Minutes, and how many answers by key, drawings and accepted proposals they went to."""
        stacks = [self.service.answers(self.service.opened(n)) for n in range(len(self.service.collection.stacks))]
        answers = [one for of_stack in stacks for one in of_stack]
        marked = sum(any(one.label_how == "range" for one in of_stack) for of_stack in stacks)
        keyed = sum(one.label_how == "key" for one in answers) + 2 * marked  # a key for either end
        drawn, accepted = (sum(one.mask_how == how for one in answers) for how in ("drawn", "accepted"))
        seconds = ANSWER * keyed + DRAWING * drawn + ACCEPTED * accepted
        return {"minutes": seconds / 60, "answers": keyed, "drawn": drawn, "accepted": accepted}

    def _draw(self, number: int, k: int, network: Network | None) -> None:
        shows, mask = self._truth(number, k)
        if not shows:
            self.service.say(WHO, number, k, 0)
            return
        if network is not None:
            stack = self.service.opened(number)
            row, column = in_plane(stack.scan_of(k)[0].axial)
            found = propose(network, Asked(stack.hu(k), (float(row), float(column)), "auto")).mask
            if (dice(found, mask) or 0.0) >= GOOD:
                self.service.draw(WHO, number, k, found, self.service.issue(found, "accepted", "model"))
                return
        self.service.draw(WHO, number, k, mask)

    def _truth(self, number: int, k: int) -> tuple[int, Mask]:
        case, z = self.service.opened(number).places[k]
        return self.truth[case].labels[z], self.truth[case].masks[z]


def _quiet(*told: object) -> None:
    """Nobody listens."""


if __name__ == "__main__":
    main()
