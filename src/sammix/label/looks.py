"""What a model makes of slices, from features that are kept: no slice goes through the frozen stages twice."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from sammix.config import ModelConfig
from sammix.data.sampling import Rows
from sammix.data.table import SliceTable
from sammix.networks.interface import Network
from sammix.training.batches import Batch, read_slice
from sammix.training.sources import encoder_of, open_cache

SHARE_OF_DISK = 0.25
"""Of the disk that is free, what features may take; those of further slices are computed each time."""


class KeptFeatures:
    """Features of a table's slices, as they are, in the cache that every fit on these slices reads.

    Args:
        network: whose frozen stages make them.
        base: SHA-256 of its frozen base.
        folder: of the cache.

    Attributes:
        keep: whether those that are computed are kept. A fit that fills the cache has it for minutes: meanwhile what
            is there is read, and nothing is added, which would have to wait, and let the fit wait.
    """

    def __init__(self, network: Network, table: SliceTable, model: ModelConfig, base: str | None, folder: Path) -> None:
        self.table = table
        self._cache = open_cache(network, table, model, base, folder)
        self._encode = encoder_of(network, table)
        self._device = next(network.parameters()).device
        room = shutil.disk_usage(folder).free * SHARE_OF_DISK
        self._cache.find()
        self.keep = True
        self.room = len(self._cache.position) + int(room) // (2 * int(np.prod(self._cache.shape)))

    def of(self, rows: Rows) -> Tensor:
        """Give features (B, C, h, w) of rows, and keep them if that is wanted and there is room."""
        entries = [(int(row), 0) for row in rows]
        missing = [entry for entry in entries if entry not in self._cache.position]
        if missing and not (self.keep and len(self._cache.position) + len(missing) <= self.room):
            return self._encode(entries)
        if missing:
            self._cache.add(missing, self._encode)
        return self._cache.read(entries).to(self._device)

    def batches(self, rows: Rows, size: int) -> Iterator[Batch]:
        """Make batches of rows with what is known of them, for a network that is asked, not trained."""
        for start in range(0, len(rows), size):
            some = rows[start : start + size]
            known = [bool(self.table.annotated[row]) for row in some]
            read = [read_slice(self.table, int(row), has) for row, has in zip(some, known, strict=True)]
            images = torch.stack([image for image, _ in read])[:, None].to(self._device)
            labels = torch.from_numpy(np.asarray(self.table.label[some], np.int64))
            masks = torch.stack([mask for _, mask in read])
            yield Batch(images, labels, masks, torch.tensor(known), self.of(some))


@torch.inference_mode()
def presence_of(network: Network, batch: Batch) -> list[float]:
    """How sure a network is that each slice of a batch shows the organ: quick, since no mask is drawn."""
    presence, _ = network.validate(batch, torch.zeros(0, dtype=torch.int64))
    told: list[float] = presence.float().tolist()
    return told


@torch.inference_mode()
def doubt_of(network: Network, batch: Batch) -> list[float | None]:
    """How far map and mask contradict each other in each slice of a batch; None of a network without a map."""
    _, found = network.validate(batch, torch.arange(len(batch.labels)))
    disagreement = found.disagreement
    return [None] * len(batch.labels) if disagreement is None else disagreement.float().tolist()
