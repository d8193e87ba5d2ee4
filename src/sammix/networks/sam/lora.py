"""Low-rank adaptation of attention's queries and values (Hu et al. 2022), as in SAMed and SAM-Mix."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class LoRAQueryValue(nn.Module):
    """A frozen fused qkv projection whose q and v get a trained low-rank addition.

    q ← W_q x + B_q A_q x, and v alike; k is left as it is. A ~ N(0, 0.01²), B = 0, so it begins as the
    projection alone; the addition is not scaled.

    Args:
        qkv: maps ``in`` to 3·``dim`` features: all of q, all of k, all of v.
        rank: rows of A, columns of B.
    """

    def __init__(self, qkv: nn.Linear, rank: int) -> None:
        super().__init__()
        self.qkv = qkv.requires_grad_(False)
        dim = qkv.out_features // 3
        like = qkv.weight.new_empty
        self.a_q = nn.Parameter(like(rank, qkv.in_features).normal_(std=0.01))
        self.a_v = nn.Parameter(like(rank, qkv.in_features).normal_(std=0.01))
        self.b_q = nn.Parameter(like(dim, rank).zero_())
        self.b_v = nn.Parameter(like(dim, rank).zero_())

    def forward(self, x: Tensor) -> Tensor:
        """(…, in) → (…, 3·dim)."""
        rank, dim = self.a_q.shape[0], self.b_q.shape[0]
        a = torch.cat([self.a_q, self.a_v])
        b = F.pad(self.b_q, (0, rank, 0, 2 * dim)) + F.pad(self.b_v, (rank, 0, 2 * dim, 0))  # (3·dim, 2·rank)
        y: Tensor = self.qkv(x)
        added: Tensor = torch.addmm(y.reshape(-1, y.shape[-1]), F.linear(x, a).reshape(-1, 2 * rank), b.T)
        return added.view(y.shape)


def add_lora(module: nn.Module, rank: int) -> list[LoRAQueryValue]:
    """Put adapters of ``rank`` on every ``qkv`` projection inside ``module`` (0: none); returns them in order.

    Projections must give all of q, then all of k, then all of v. Only the adapters' A and B are trained.
    """
    adapters: list[LoRAQueryValue] = []
    if rank == 0:
        return adapters
    for parent in list(module.modules()):
        qkv = getattr(parent, "qkv", None)
        if isinstance(qkv, nn.Linear) and not isinstance(parent, LoRAQueryValue):
            adapter = LoRAQueryValue(qkv, rank)
            parent.qkv = adapter
            adapters.append(adapter)
    return adapters
