"""That it is true of two processes is shown in ``tests/training/test_parallel.py``, where both learn what one does."""

from __future__ import annotations

from pathlib import Path

import torch.distributed as distributed

from sammix.networks.processes import several_processes


def test_one_process_is_not_several_with_a_group_or_without(tmp_path: Path) -> None:
    assert not several_processes()
    distributed.init_process_group("gloo", init_method=f"file://{tmp_path / 'group'}", rank=0, world_size=1)
    try:
        assert not several_processes()
    finally:
        distributed.destroy_process_group()
