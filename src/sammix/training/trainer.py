"""The training loop, in named steps. A resumed run does the same as a run that was never interrupted."""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from lightning_fabric import Fabric

from sammix.config import Config
from sammix.data.sampling import EpochBatches, Rows, shuffled_batches, two_stream_batches
from sammix.errors import InputError, SammixError
from sammix.log import say, track
from sammix.models.card import ModelCard
from sammix.models.devices import trainable_attention
from sammix.models.registry import kind_of
from sammix.models.saved import load_trained_state, save_model, trained_state
from sammix.networks.interface import Network
from sammix.networks.objectives import Terms, positive_weight
from sammix.networks.quality import calibrate
from sammix.training.batches import Batch, Loader, as_they_are, at_hand, loader
from sammix.training.optimisation import optimiser, running_average, schedule
from sammix.training.parallel import average_gradients, same_start, shared_loss
from sammix.training.run_folder import CHECKPOINT, RunFolder
from sammix.training.sources import FitData, open_slices
from sammix.training.validation import NOTHING_TO_CHOOSE_BY, VALIDATION_BATCH, Validation, selection_score, validate


class Trainer:
    """Train a network. All chance of an epoch depends on the seed and the epoch's number alone.

    Args:
        fabric: launched; device, precision and processes.
        network: with random or pretrained weights, or those of the model that the fit goes on from.
        card: of the model to be; its config is what is followed.
    """

    def __init__(self, fabric: Fabric, network: Network, data: FitData, run: RunFolder, card: ModelCard) -> None:
        self.fabric, self.network, self.data, self.run, self.card = fabric, network, data, run, card
        self.config, self.fit, self.seed = card.config, card.config.fit, int(card.data["seed"])
        self.network.to(fabric.device)
        same_start(self.network, fabric.world_size)
        self.batches = EpochBatches(self._epoch, self.seed, fabric.global_rank, fabric.world_size)
        self.plain_optimizer = optimiser(network, self.fit)
        self.optimizer: Any = fabric.setup_optimizers(self.plain_optimizer)  # scales 16-bit gradients
        self.scheduler = schedule(self.plain_optimizer, self.fit, len(self.batches))
        self.average = running_average(network, self.fit.average) if self.fit.average else None
        self.own_config = with_share_of_masks(self.config, fabric.global_rank, fabric.world_size)
        labels = torch.from_numpy(np.asarray(data.table.label[data.train]))
        self.alpha = positive_weight(labels, self.fit.focal_alpha)

    def train(self) -> Path:
        """Run all epochs that are still to be done; returns the best model's folder."""
        first, best = self._restore()
        if first > self.fit.epochs:
            return self._finished_before()
        train_batches, val_batches = self._open()
        for epoch in range(first, self.fit.epochs + 1):
            losses = self._learn(epoch, train_batches)
            validation = self._validate(val_batches)
            best = self._keep(epoch, validation, losses, self._to_beat(epoch, best))
        self._tidy_up()
        return self.run.model_folder

    def keep_start(self) -> None:
        """Write the state before the first epoch, so that a resumed run needs nothing but its own folder."""
        if self.fabric.is_global_zero:
            self.run.save_checkpoint(self._state(0, None))

    def _restore(self) -> tuple[int, float | None]:
        """Set everything as the last checkpoint says; return the first epoch to do, and the best score so far."""
        state = self.run.load_checkpoint()
        epoch = int(state["epoch"]) if state else 0
        if self.fabric.is_global_zero:
            self.run.rewind_log(epoch)
        if state is None:
            return 1, None
        try:
            load_trained_state(self.network, state["model"], self.run.path)
            self._restore_average(state)
            self.plain_optimizer.load_state_dict(state["optimizer"])
            self.scheduler.load_state_dict(state["scheduler"])
            self.fabric.strategy.precision.load_state_dict(state["scaler"])
        except (ValueError, KeyError, TypeError, AttributeError, RuntimeError, InputError) as error:
            raise InputError(
                self.run.path / CHECKPOINT, "is of another network or another fit", "remove it to start over"
            ) from error
        if 0 < epoch < self.fit.epochs:
            say(f"continuing after epoch {epoch}")
        return epoch + 1, state["best"]

    def _restore_average(self, state: dict[str, Any]) -> None:
        if self.average is not None:
            load_trained_state(self._judged, state["average"], self.run.path)
            self.average.n_averaged.fill_(state["averaged"])

    @property
    def _judged(self) -> Network:
        """The network that is validated and kept: the average over all steps, where there is one."""
        return self.network if self.average is None else cast(Network, self.average.module)

    def _open(self) -> tuple[Loader, Loader]:
        """Open training and validation batches. The first process fills the cache of the frozen stages' features."""
        with self.fabric.rank_zero_first():
            slices = open_slices(self.network, self.data, self.card, self.run)
        plain, device = as_they_are(self.data.val, VALIDATION_BATCH), self.fabric.device
        return loader(slices, self.batches, self.fit.workers, device), loader(slices, plain, self.fit.workers, device)

    def _learn(self, epoch: int, batches: Loader) -> dict[str, float]:
        """Train for one epoch; return the mean of the loss and of each of its terms over the batches that have it."""
        self.network.train()
        self.batches.epoch = epoch
        torch.manual_seed(int(np.random.SeedSequence([self.seed, epoch]).generate_state(1)[0]))  # dropout
        means: dict[str, list[float]] = {}
        for step, batch in enumerate(track(batches, f"epoch {epoch}/{self.fit.epochs}")):
            rng = np.random.default_rng([self.seed, epoch, step, self.fabric.global_rank])
            loss, terms = self._step(epoch, self._at_hand(batch), rng)
            for name, value in {"loss": loss, **{name: float(term.mean) for name, term in terms.items()}}.items():
                means.setdefault(name, []).append(value)
        if not math.isfinite(sum(means["loss"])):
            raise SammixError(
                f"{self.run.path}: the loss is no longer a number in epoch {epoch}; lower fit.learning_rate"
            )
        return {name: float(np.mean(values)) for name, values in means.items()}

    def _step(self, epoch: int, batch: Batch, rng: np.random.Generator) -> tuple[float, Terms]:
        """Take one optimiser step; return the loss of the whole batch, of all processes, and its terms."""
        objective = kind_of(self.config.model).objective(self.fit, epoch)
        self.optimizer.zero_grad()
        with trainable_attention(self.fabric.device):
            with self.fabric.autocast():
                own = objective(self.network, batch, self.own_config, self.alpha, rng)
            loss, whole = shared_loss(own, self.fabric.world_size)
            if loss.requires_grad:
                self.fabric.backward(loss)
        average_gradients(self.network.parameters(), self.fabric.world_size)
        if whole:  # a shuffled batch may hold nothing that this epoch learns from
            self.optimizer.step()
            if self.average is not None:
                self.average.update_parameters(self.network)
        self.scheduler.step()
        return sum(term.weight * float(term.mean) for term in whole.values()), whole

    def _validate(self, batches: Loader) -> Validation:
        patients = np.asarray(self.data.table.patient[self.data.val])
        return validate(self._judged, map(self._at_hand, batches), patients, self.fabric.autocast)

    def _at_hand(self, batch: Batch | SammixError) -> Batch:
        return at_hand(batch, self.network, self.fabric.device)

    def _to_beat(self, epoch: int, best: float | None) -> float | None:
        """Return the score to beat: none in the first epoch that tunes SAM, since SAM-PP keeps a tuned model."""
        return None if epoch == self.fit.classifier_epochs + 1 else best

    def _keep(self, epoch: int, validation: Validation, losses: dict[str, float], best: float | None) -> float:
        """Save the model if it is the best so far, then log, then the checkpoint; returns the best score."""
        metrics = validation.metrics
        score, chosen_by = selection_score(metrics)
        is_best = best is None or score >= best
        best = score if best is None else max(score, best)
        if self.fabric.is_global_zero:
            if is_best:
                chosen = {"epoch": epoch, **metrics, "chosen_by": chosen_by}
                known = {"metrics": chosen, "quality": calibrate(validation.measured)}
                save_model(self.run.model_folder, self._judged, self.card.model_copy(update=known))
            self.run.log(epoch=epoch, **losses, **metrics, best=is_best, learning_rate=self.scheduler.get_last_lr()[0])
            self.run.save_checkpoint(self._state(epoch, best))
        self.fabric.barrier()
        parts = [f"{name} {value:.4f}" for name, value in (losses | metrics).items() if value is not None]
        note = " (kept; nothing to validate on)" if chosen_by == NOTHING_TO_CHOOSE_BY else " (best so far)"
        say(f"epoch {epoch}/{self.fit.epochs}: {', '.join(parts)}{note if is_best else ''}")
        return best

    def _state(self, epoch: int, best: float | None) -> dict[str, Any]:
        averaged: dict[str, Any] = {}
        if self.average is not None:
            averaged = {"average": trained_state(self._judged), "averaged": int(self.average.n_averaged)}
        return averaged | {
            "epoch": epoch,
            "best": best,
            "model": trained_state(self.network),
            "optimizer": self.plain_optimizer.state_dict(),
            "scheduler": self.scheduler.state_dict(),
            "scaler": self.fabric.strategy.precision.state_dict(),  # of 16-bit training; else empty
        }

    def _epoch(self, rng: np.random.Generator) -> Iterator[Rows]:
        """Draw the rows of each batch of an epoch."""
        fit, data = self.fit, self.data
        shuffled = partial(shuffled_batches, data.train, fit.batch_size)
        two_streams = partial(two_stream_batches, data.train, data.annotated, fit.batch_size, fit.mask_batch_size)
        return shuffled(rng) if fit.sampling == "shuffled" else two_streams(rng)

    def _finished_before(self) -> Path:
        self._tidy_up()  # it may have been killed just before that
        say(
            f"the run is finished already, after {self.fit.epochs} epochs; to train its model further, begin another "
            f"run with --from {self.run.path}"
        )
        return self.run.model_folder

    def _tidy_up(self) -> None:
        if self.fabric.is_global_zero:
            shutil.rmtree(self.run.own_cache, ignore_errors=True)


def with_share_of_masks(config: Config, rank: int, world: int) -> Config:
    """Settings under which one of several processes decodes its share of a batch's masks: all together ``fit.decoded``.

    Slices are dealt out in turn, and those with a mask come first in a two-stream batch, so the masks that are decoded
    are the same as with one process.
    """
    share = len(range(rank, config.fit.decoded, world))
    return config.model_copy(update={"fit": config.fit.model_copy(update={"decoded": share})})
