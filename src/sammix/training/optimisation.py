"""How fast which part learns: AdamW, a warm-up, and cosines that may begin anew. And an average over all steps."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel

from sammix.config import FitConfig
from sammix.networks.interface import Network


def optimiser(network: Network, config: FitConfig) -> torch.optim.Optimizer:
    """AdamW over what the network says is trained, each part at its own rate; a step is one pass over all of it."""
    return torch.optim.AdamW(network.parameter_groups(config), weight_decay=config.weight_decay, fused=True)


def schedule(optimizer: torch.optim.Optimizer, config: FitConfig, steps: int) -> torch.optim.lr_scheduler.LambdaLR:
    """Linear warm-up, then half a cosine down to a hundredth; with restarts, both begin anew in every cycle.

    Args:
        steps: in an epoch.
    """
    warmup, total, cycle = config.warmup_steps, config.epochs * steps, (config.restart_epochs or config.epochs) * steps

    def factor(step: int) -> float:
        step = step if step >= total else step % cycle
        if step < warmup:
            return (step + 1) / warmup
        progress = min(1.0, (step - warmup) / max(1, cycle - warmup))
        return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * progress))

    return torch.optim.lr_scheduler.LambdaLR(optimizer, factor)


def running_average(network: Network, decay: float) -> AveragedModel:
    """Copy a network, to hold the exponential average of its weights and statistics over all steps.

    Args:
        decay: the share that the average keeps a step. The first steps, which are far off, are forgotten sooner.
    """

    def moved(average: Tensor, now: Tensor, step: int | Tensor) -> Tensor:
        if not average.is_floating_point():
            return now
        return average.lerp(now, 1 - min(decay, (1 + float(step)) / (10 + float(step))))

    return AveragedModel(network, avg_fn=moved, use_buffers=True)
