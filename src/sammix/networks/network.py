"""The networks that can be trained, saved, loaded and used."""

from __future__ import annotations

from sammix.networks.baselines.baseline import Baseline
from sammix.networks.sam_mix import SAMMix

Network = SAMMix | Baseline
