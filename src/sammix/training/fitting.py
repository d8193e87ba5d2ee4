"""Training: image-level labels for all slices, masks for a few, one loss, one loop."""

from __future__ import annotations

import logging
import math
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from lightning_fabric.utilities.rank_zero import rank_zero_only

from sammix.config import Config, FitConfig
from sammix.data.loading import load_table
from sammix.data.sampling import Rows, shuffled_batches, two_stream_batches
from sammix.data.splits import VAL, check_both_classes, choose_annotated, with_splits
from sammix.data.table import SliceTable
from sammix.errors import InputError, SammixError
from sammix.files import remove_left_overs, sole_writer
from sammix.log import be_quiet, say, track, warn
from sammix.models.build import build_model
from sammix.models.devices import fabric_precision, pick_device, prepare_for_training, trainable_attention
from sammix.models.learning import objective_of, total_epochs, training_rows
from sammix.models.saved import ModelCard, load_trained_state, load_weights, read_card, save_model, trained_state
from sammix.networks.network import Network
from sammix.networks.objectives import positive_weight
from sammix.networks.sam_mix import SAMMix
from sammix.training.batches import Batch, BatchSource, CachedSource, LiveSource
from sammix.training.run_folder import CHECKPOINT, RunFolder, RunSettings
from sammix.training.validation import selection_score, validate

VALIDATION_BATCH = 8


def fit(
    data: Path,
    config: Config,
    out: Path,
    *,
    labels: int | None = 50,
    seed: int = 0,
    resume: bool = False,
    start: Path | None = None,
    cache: Path | None = None,
    device: str = "auto",
    devices: int = 1,
) -> Path:
    """Train a model and leave it in ``out/model``.

    Args:
        data: a prepared store or any supported layout.
        labels: how many training slices keep their mask; None: all of them (full supervision).
        resume: continue an interrupted run; settings, seed and labels are then those it was begun with.
        start: a trained model to go on from, whatever organ it was trained for; the network is then that model's.
        cache: a folder that keeps what the frozen stages compute, for other runs on the same slices: with other seeds,
            numbers of labels or settings of training, or with more of them drawn. None: kept in ``out`` until the fit
            ends.
        devices: how many GPUs; each takes its share of every batch.

    Returns:
        The model's folder.

    Raises:
        SammixError: the data cannot be learned from, a folder cannot be used or is in use, weights are missing.
    """
    pick_device(device)  # before the data is read
    run = RunFolder(out)
    if start is not None:
        config = config.model_copy(update={"model": read_card(start).config.model})
    asked = RunSettings(config=config, seed=seed, labels=labels, start=start)
    if devices > 1 and _rank() != 0:  # another GPU's process: the first one holds the folder for all
        return _trainer(data, run, run.settings() if resume else asked, cache, device, devices).train()
    with sole_writer(out, run.check_begun if resume else run.check_new):
        if resume:
            asked = run.settings()
            remove_left_overs(run.model_folder)
        else:
            run.write(asked)
        try:
            trainer = _trainer(data, run, asked, cache, device, devices)
        except Exception:
            if not resume:
                run.forget()  # nothing was learned: the same command may be given again
            raise
        return trainer.train()


def _trainer(data: Path, run: RunFolder, asked: RunSettings, cache: Path | None, device: str, devices: int) -> Trainer:
    """Data and network, ready to learn what was asked for.

    Raises:
        SammixError: they cannot be used, or are not those that the run was begun with.
    """
    config, seed, labels = asked.config, asked.seed, asked.labels
    table = load_table(data, config.data)
    content = table.sha256()
    if asked.data and asked.data.get("content_sha256") != content:
        raise InputError(data, "is not the data that this run was begun with", "start a new run")
    table = with_splits(table, config.data.val_fraction, config.data.test_fraction, seed)
    check_both_classes(table)
    config = config.model_copy(update={"fit": config.fit.model_copy(update={"epochs": total_epochs(config, labels)})})
    annotated = choose_annotated(table, labels, seed)
    if labels == 0 and config.model.kind == "sam-mix" and config.model.classifier == "shared":
        warn(
            "without annotated slices this classifier's map shows little of the organ; --preset sam-pp has a better one"
        )

    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    fabric = Fabric(
        accelerator=device,
        devices=devices,
        strategy="ddp_find_unused_parameters_true" if devices > 1 else "auto",  # a batch may hold no mask
        precision=fabric_precision(config.fit.precision, device),
    )
    fabric.launch()
    if not fabric.is_global_zero:
        be_quiet()
    fabric.seed_everything(seed, verbose=False)
    model, base = build_model(config, table.preprocess)
    if asked.data and asked.base_sha256 != base:
        raise SammixError(f"{config.model.encoder}: its weights are not those that this run was begun with")
    if asked.start is not None:
        load_weights(model, base, asked.start)
    settings = asked.model_copy(update={"config": config, "base_sha256": base})
    card = _card(settings, table, annotated, content)
    if not asked.data and fabric.is_global_zero:
        run.write(settings.model_copy(update={"data": card.data}))
    fabric.barrier()
    return Trainer(fabric, model, table, annotated, run, card, seed, cache)


def _rank() -> int:
    """Of this process among those of all GPUs, before Fabric has started."""
    rank: int = getattr(rank_zero_only, "rank", 0)
    return rank


class Trainer:
    """The loop. Each epoch draws its chances from the seed and its own number, so a resumed run is the same run."""

    def __init__(
        self,
        fabric: Fabric,
        model: Network,
        table: SliceTable,
        annotated: Rows,
        run: RunFolder,
        card: ModelCard,
        seed: int,
        cache: Path | None = None,
    ) -> None:
        self.fabric, self.model, self.table, self.annotated = fabric, model, table, annotated
        self.run, self.card, self.seed, self.cache = run, card, seed, cache
        self.config, self.fit = card.config, card.config.fit
        self.train_rows, self.val_rows = training_rows(table, annotated, card.config), table.rows(VAL)

    def train(self) -> Path:
        """Run all epochs that are still to be done; returns the best model's folder."""
        prepare_for_training(self.model, self.fabric.device)
        self.optimizer = optimiser(self.model, self.fit)
        wrapped, optimizer = self.fabric.setup(self.model, self.optimizer)
        steps = len(list(self._batches(epoch=0)))
        cycle = self.fit.restart_epochs or self.fit.epochs
        self.scheduler = schedule(self.optimizer, self.fit.warmup_steps, self.fit.epochs * steps, cycle * steps)
        alpha = positive_weight(torch.from_numpy(self.table.label[self.train_rows]), self.fit.focal_alpha)
        first, best = self._restore()
        if first > self.fit.epochs:
            shutil.rmtree(self.run.cache_folder, ignore_errors=True)  # it may have been killed just before
            say("the run is finished already")
            return self.run.model_folder
        with self.fabric.rank_zero_first():
            source = self._source()
        for epoch in range(first, self.fit.epochs + 1):
            self.model.train()
            best = None if epoch == self.fit.classifier_epochs + 1 else best  # SAM-PP: what was tuned is compared
            torch.manual_seed(int(np.random.SeedSequence([self.seed, epoch]).generate_state(1)[0]))  # dropout
            totals: dict[str, list[float]] = {}
            for rows, rng in track(list(self._batches(epoch)), f"epoch {epoch}/{self.fit.epochs}"):
                batch = source.batch(rows, rng).to(self.fabric.device)
                with trainable_attention(self.fabric.device):
                    losses = objective_of(self.config, epoch)(wrapped, batch, self.config, alpha, rng)
                    optimizer.zero_grad()
                    self.fabric.backward(losses["loss"])
                optimizer.step()
                self.scheduler.step()
                for name, value in losses.items():
                    totals.setdefault(name, []).append(value.item())
            if not math.isfinite(sum(totals["loss"])):
                raise SammixError(
                    f"{self.run.path}: the loss is no longer a number in epoch {epoch}; lower fit.learning_rate"
                )
            with self.fabric.autocast():
                metrics = validate(self.model, self._validation(source))
            best = self._keep(epoch, metrics, {name: float(np.mean(v)) for name, v in totals.items()}, best)
        if self.fabric.is_global_zero:
            shutil.rmtree(self.run.cache_folder, ignore_errors=True)
        return self.run.model_folder

    def _source(self) -> BatchSource:
        may_use = np.union1d(self.annotated, self.val_rows[self.table.annotated[self.val_rows]])
        if not self.fit.cache:
            return LiveSource(self.model, self.table, mask_rows=may_use, augmented=self.fit.augment)
        return CachedSource(
            self.cache or self.run.cache_folder,
            self.model,
            self.table,
            self._views(),
            mask_rows=may_use,
            augmented=self.fit.augment,
            key={
                "images": self.table.images_sha256(),
                "base": self.card.base_sha256,
                "encoder": _encoder(self.config),
            },
        )

    def _views(self) -> dict[int, list[int]]:
        """Which views of which slices are worth caching."""
        plain = {int(row): [0] for row in np.union1d(self.train_rows, self.val_rows)}
        if not self.fit.augment:
            return plain
        single = {int(row): [int(row) % 2] for row in self.train_rows}  # every other one augmented: it costs nothing
        of_each = math.ceil(self.fit.views / max(1, len(self.annotated)))
        several = {int(row): list(range(1 + of_each)) for row in self.annotated}
        return plain | single | several

    def _batches(self, epoch: int) -> Iterator[tuple[Rows, np.random.Generator]]:
        """Rows of each batch of this process, each with its own source of chance."""
        rng = np.random.default_rng([self.seed, epoch])
        if self.fit.sampling == "shuffled":
            batches = shuffled_batches(self.train_rows, self.fit.batch_size, rng)
        else:
            batches = two_stream_batches(
                self.train_rows, self.annotated, self.fit.batch_size, self.fit.mask_batch_size, rng
            )
        rank, world = self.fabric.global_rank, self.fabric.world_size
        for step, rows in enumerate(batches):
            yield rows[rank::world], np.random.default_rng([self.seed, epoch, step, rank])

    def _validation(self, source: BatchSource) -> Iterator[Batch]:
        for start in range(0, len(self.val_rows), VALIDATION_BATCH):
            yield source.plain(self.val_rows[start : start + VALIDATION_BATCH]).to(self.fabric.device)

    def _keep(
        self, epoch: int, metrics: dict[str, float | None], losses: dict[str, float], best: float | None
    ) -> float:
        """Save the model if it is the best so far, then log, then the checkpoint; returns the best score."""
        score, chosen_by = selection_score(metrics)
        is_best = best is None or score >= best
        if self.fabric.is_global_zero:
            if is_best:
                chosen = {"epoch": epoch, **metrics, "chosen_by": chosen_by}
                save_model(self.run.model_folder, self.model, self.card.model_copy(update={"metrics": chosen}))
            self.run.log(epoch=epoch, **losses, **metrics, best=is_best, learning_rate=self.scheduler.get_last_lr()[0])
            self.run.save_checkpoint(self._state(epoch, max(score, best or score)))
        self.fabric.barrier()
        parts = [f"{name} {value:.4f}" for name, value in (losses | metrics).items() if value is not None]
        say(f"epoch {epoch}/{self.fit.epochs}: {', '.join(parts)}{' (best so far)' if is_best else ''}")
        return max(score, best or score)

    def _state(self, epoch: int, best: float) -> dict[str, Any]:
        return {
            "epoch": epoch,
            "best": best,
            "model": trained_state(self.model),
            "optimizer": self.optimizer.state_dict(),
            "scheduler": self.scheduler.state_dict(),
        }

    def _restore(self) -> tuple[int, float | None]:
        """The first epoch to do and the best score so far, with everything set as it was."""
        state = self.run.load_checkpoint()
        epoch = int(state["epoch"]) if state else 0
        if self.fabric.is_global_zero:
            self.run.rewind_log(epoch)
        if state is None:
            return 1, None
        try:
            load_trained_state(self.model, state["model"], self.run.path)
            self.optimizer.load_state_dict(state["optimizer"])
            self.scheduler.load_state_dict(state["scheduler"])
        except (ValueError, KeyError, TypeError, AttributeError, RuntimeError, InputError) as error:
            raise InputError(
                self.run.path / CHECKPOINT, "is of another network or another fit", "remove it to start over"
            ) from error
        say(f"continuing after epoch {epoch}")
        return epoch + 1, state["best"]


def _encoder(config: Config) -> dict[str, Any]:
    """What the frozen features depend on."""
    return config.model.model_dump(include={"encoder", "lora_blocks"})


def optimiser(model: Network, config: FitConfig) -> torch.optim.Optimizer:
    """AdamW over what is trained; the fresh classifier may learn at a rate of its own."""
    if not isinstance(model, SAMMix):
        return torch.optim.AdamW(model.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay)
    fresh = [p for p in model.classifier.parameters() if p.requires_grad]
    tuned = [p for p in model.sam.parameters() if p.requires_grad]
    groups = [
        {"params": tuned, "lr": config.learning_rate},
        {"params": fresh, "lr": config.classifier_learning_rate},
    ]
    return torch.optim.AdamW(groups, weight_decay=config.weight_decay)


def schedule(
    optimizer: torch.optim.Optimizer, warmup: int, total: int, cycle: int
) -> torch.optim.lr_scheduler.LambdaLR:
    """Linear warm-up, then half a cosine down to a hundredth; every ``cycle`` steps both begin anew."""

    def factor(step: int) -> float:
        step = step if step >= total else step % cycle
        if step < warmup:
            return (step + 1) / warmup
        progress = min(1.0, (step - warmup) / max(1, cycle - warmup))
        return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * progress))

    return torch.optim.lr_scheduler.LambdaLR(optimizer, factor)


def _card(settings: RunSettings, table: SliceTable, annotated: Rows, content: str) -> ModelCard:
    splits = {str(case): str(split) for case, split in zip(table.case, table.split, strict=True)}
    return ModelCard(
        name=f"{settings.config.preset}-{'all' if settings.labels is None else settings.labels}",
        organ=table.organ,
        config=settings.config,
        preprocess=table.preprocess,
        base_sha256=settings.base_sha256,
        data={
            "name": table.name,
            "fingerprint": table.fingerprint,
            "content_sha256": content,
            "seed": settings.seed,
            "labels": settings.labels,
            "drawn": [{"case": str(table.case[row]), "slice": int(table.index[row])} for row in annotated],
            "splits": splits,
        },
        metrics={},
    )
