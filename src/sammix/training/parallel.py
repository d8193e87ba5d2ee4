"""Several processes that share every batch and stay one model: their losses and gradients are those of one process."""

from __future__ import annotations

from collections.abc import Iterable

import torch
import torch.distributed as distributed
from torch import Tensor, nn

from sammix.networks.objectives import Term, Terms


def shared_loss(terms: Terms, world: int) -> tuple[Tensor, dict[str, Term]]:
    """The loss of this process's share of a batch, and the terms of the whole batch.

    A term is a mean over slices, and processes may hold different numbers of them. Each is weighed by its share, so
    that the mean of the processes' gradients is the gradient of the whole batch. A term that no process knows
    anything of is left out by all.

    Args:
        terms: of this process; all processes have the same names.
        world: how many processes there are.

    Returns:
        A scalar; and the terms, with the means and counts of all processes together and without gradient.
    """
    names = list(terms)
    counts = torch.tensor([float(terms[name].count) for name in names])
    sums = torch.stack([terms[name].mean.detach().float().cpu() for name in names]) * counts
    totals = torch.stack([sums, counts])
    if world > 1:
        totals = _summed(totals, next(iter(terms.values())).mean.device)
    loss = torch.zeros((), device=next(iter(terms.values())).mean.device)
    whole: dict[str, Term] = {}
    for i, name in enumerate(names):
        total = float(totals[1, i])
        if total:
            term = terms[name]
            loss = loss + term.weight * (term.count * world / total) * term.mean
            whole[name] = Term(totals[0, i] / total, int(total), term.weight)
    return loss, whole


def average_gradients(parameters: Iterable[nn.Parameter], world: int) -> None:
    """Give every process the mean of all processes' gradients.

    A parameter that no process has a gradient of keeps none, so that the optimiser leaves it alone, as with one
    process. Nothing else is exchanged: a process whose share of a batch holds no mask cannot make others wait.
    """
    if world == 1:
        return
    trained = [parameter for parameter in parameters if parameter.requires_grad]
    device = trained[0].device
    known = torch.tensor([float(parameter.grad is not None) for parameter in trained], device=device)
    distributed.all_reduce(known)
    reached = [parameter for parameter, count in zip(trained, known.tolist(), strict=True) if count]
    if not reached:
        return
    flat = torch.cat([(torch.zeros_like(p) if p.grad is None else p.grad).flatten().float() for p in reached])
    distributed.all_reduce(flat)
    flat /= world
    for parameter, gradient in zip(reached, torch.split(flat, [p.numel() for p in reached]), strict=True):
        parameter.grad = gradient.view_as(parameter).to(parameter.dtype)


def same_start(network: nn.Module, world: int) -> None:
    """Give every process the first one's parameters and buffers."""
    if world > 1:
        for tensor in (*network.parameters(), *network.buffers()):
            distributed.broadcast(tensor.data, src=0)


def _summed(values: Tensor, device: torch.device) -> Tensor:
    on_device = values.to(device)  # NCCL sums on GPUs only
    distributed.all_reduce(on_device)
    return on_device.cpu()
