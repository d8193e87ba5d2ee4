"""Plan the jobs of a grid: every method, number of annotated slices and seed, at one of three sizes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from sammix.config import Config, load_preset
from sammix.reproduce.methods import METHODS, Method

PAPER_MIDDLE = "data.middle_fraction=0.3"  # of each scan's slices (section 3.2); all sizes but the toy one


@dataclass(frozen=True)
class Size:
    """How large the grid's trainings are.

    Attributes:
        settings: by method, laid over its preset; before them, those under ``""`` over every preset.
        labels, seeds: where none are asked for.
    """

    name: str
    labels: tuple[int, ...]
    seeds: int
    settings: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def settings_of(self, method: Method) -> tuple[str, ...]:
        """List one method's settings in the order in which they are laid over its preset."""
        return (PAPER_MIDDLE, *self.settings.get("", ()), *self.settings.get(method.key, ()))


FULL = Size("full", labels=(5, 50, 100), seeds=5)
# For the 663 slices of our own runs, every baseline has about 40 minutes of one CPU core: twice what SAM-Mix takes.
SMALL = Size(
    "small",
    labels=(5, 50, 100),
    seeds=1,
    settings={
        "unet": ("fit.epochs=20",),
        "unet-standard": ("fit.epochs=2",),
        "nnunet-style": ("fit.epochs=5",),
        "transunet": ("fit.epochs=2",),
        "multimix": ("fit.epochs=10",),
    },
)
_TOY_SAM = ("model.encoder=tiny", "fit.mask_batch_size=2", "fit.views=1")
_TOY_VIT = ("model.encoder=tiny", "model.lora_blocks=1", "model.classifier_width=0.02")
SMOKE = Size(
    "smoke",
    labels=(4,),
    seeds=1,
    settings={
        "": ("data.size=64", "data.middle_fraction=1.0", "fit.epochs=2", "fit.batch_size=12", "fit.precision=32-true"),
        "unet": ("model.width=0.25",),
        "unet-standard": ("model.width=0.5",),
        "nnunet-style": ("model.width=0.0625",),
        "transunet": ("model.width=0.0625",),
        "multimix": ("model.width=0.25",),
        "sam-pp": (*_TOY_SAM, "fit.classifier_epochs=1", "fit.restart_epochs=1"),
        "sam-mix": _TOY_SAM,
        "sam-pp-paper": (*_TOY_VIT, "fit.classifier_epochs=1", "fit.restart_epochs=1"),
        "sam-mix-paper": _TOY_VIT,
    },
)


@dataclass(frozen=True)
class Job:
    """One training with its evaluations.

    Attributes:
        method: a key of :data:`~sammix.reproduce.methods.METHODS`.
        labels: annotated slices that may be used; None: all.
        settings: laid over the method's preset, ``SECTION.KEY=VALUE``.
    """

    method: str
    labels: int | None
    seed: int
    settings: tuple[str, ...]

    @property
    def name(self) -> str:
        """Its folder, such as ``sam-mix-50-seed0``."""
        return f"{self.method}-{'all' if self.labels is None else self.labels}-seed{self.seed}"

    @property
    def row(self) -> str:
        """Its row in the tables."""
        return METHODS[self.method].row(self.labels)

    def config(self) -> Config:
        """Lay the job's settings over its preset. The real nnU-Net has none of ours but the data's.

        Raises:
            ConfigError: a setting that does not exist or does not fit.
        """
        return load_preset(METHODS[self.method].preset or "unet", self.settings)

    @property
    def cut(self) -> str | None:
        """How its training is shorter than its preset says, in words; None if it is not."""
        method = METHODS[self.method]
        if method.preset is None:
            return None
        asked, usual = self.config().fit.epochs, load_preset(method.preset).fit.epochs
        return f"{method.title} {asked} of {usual} epochs" if asked < usual else None


def plan_job(method: Method, labels: int | None, seed: int, size: Size, settings: Sequence[str] = ()) -> Job:
    """Plan a job: ``settings`` are laid over the size's, and both over the method's preset."""
    return Job(method.key, labels, seed, (*size.settings_of(method), *settings))


def plan_jobs(
    methods: Sequence[Method], labels: Sequence[int | None], seeds: int, size: Size, settings: Sequence[str] = ()
) -> list[Job]:
    """Plan all jobs: the first seed of every method first, so that a grid that is stopped early has all rows.

    Raises:
        ConfigError: a setting that does not exist or does not fit.
    """
    jobs = [
        plan_job(method, count, seed, size, settings)
        for seed in range(seeds)
        for method in methods
        for count in method.label_counts(labels)
    ]
    for job in jobs:
        job.config()
    return jobs
