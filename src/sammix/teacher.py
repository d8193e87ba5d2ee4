"""An averaged teacher for the slices that show the organ but were never drawn (Tarvainen and Valpola 2017)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from sammix.config import Config
from sammix.features import Batch
from sammix.model import SAMMix
from sammix.nets.classifier import SharedClassifier
from sammix.network import Network
from sammix.prompts import probability_map

DECAY = 0.98  # a step: the teacher is the classifier of the last fifty steps or so
FIRST_EPOCH = 2  # before it, the classifier has nothing to teach


class Teacher:
    """A moving average of the shared classifier; with no weight in ``config``, or for other networks, it does nothing.

    The teacher sees the whole of the features, the classifier that learns from it only some of their channels.
    """

    def __init__(self, model: Network, config: Config) -> None:
        self.average: AveragedModel | None = None
        if isinstance(model, SAMMix) and isinstance(model.classifier, SharedClassifier) and config.fit.teacher_weight:
            self.classifier, self.size = model.classifier, model.preprocess.size
            average: Any = get_ema_multi_avg_fn(DECAY)  # type: ignore[no-untyped-call]
            self.average = AveragedModel(model.classifier, multi_avg_fn=average, use_buffers=True).eval()

    def follow(self) -> None:
        """Take a step towards the classifier as it is now."""
        if self.average is not None:
            self.average.update_parameters(self.classifier)

    @torch.no_grad()
    def guess(self, batch: Batch, epoch: int) -> Batch:
        """The batch with the teacher's maps, from the second epoch on."""
        if self.average is None or epoch < FIRST_EPOCH:
            return batch
        _, map_logits = self.average(batch.coarse())
        return replace(batch, guess=probability_map(map_logits, self.size))

    def state_dict(self) -> dict[str, Any]:
        """For a checkpoint."""
        return {} if self.average is None else self.average.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        if self.average is not None:
            self.average.load_state_dict(state)
