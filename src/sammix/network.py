"""The networks that can be trained, saved, loaded and used."""

from __future__ import annotations

from sammix.baselines.baseline import Baseline
from sammix.model import SAMMix

Network = SAMMix | Baseline
