"""Tell whether several processes train one network together."""

from __future__ import annotations

import torch.distributed as distributed


def several_processes() -> bool:
    """Whether this process is one of several that share every batch."""
    return distributed.is_available() and distributed.is_initialized() and distributed.get_world_size() > 1
