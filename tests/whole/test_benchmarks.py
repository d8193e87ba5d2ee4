"""What scripts look up by name is there."""

from __future__ import annotations


def test_every_stage_that_is_clocked_is_there(benchmark) -> None:
    for owner, name, stage in benchmark("speed").clocked_functions():
        assert callable(getattr(owner, name, None)), stage
