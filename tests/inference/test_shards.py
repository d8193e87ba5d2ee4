from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sammix.errors import ConfigError
from sammix.inference.shards import Shard, digest_of

PATHS = st.lists(st.text(min_size=1, max_size=4), unique=True, max_size=12)


@settings(max_examples=40)
@given(PATHS, st.integers(1, 9), st.randoms())
def test_every_scan_is_in_one_shard_whatever_the_order(paths: list[str], of: int, random) -> None:
    origins = [{"input": path} for path in paths]
    shuffled = random.sample(origins, len(origins))
    parts = [[one["input"] for one in origins if Shard(k, of).holds(one)] for k in range(1, of + 1)]
    again = [{one["input"] for one in shuffled if Shard(k, of).holds(one)} for k in range(1, of + 1)]
    assert sorted(path for part in parts for path in part) == sorted(paths)
    assert [set(part) for part in parts] == again
    assert digest_of(origins) == digest_of(shuffled)
    assert digest_of(origins) != digest_of([*origins, {"input": "/one/more"}]) or {"input": "/one/more"} in origins


def test_a_series_is_in_one_shard_wherever_it_lies() -> None:
    shard = next(Shard(k, 5) for k in range(1, 6) if Shard(k, 5).holds({"input": "/a", "series": "1.2"}))
    assert shard.holds({"input": "/mounted/elsewhere", "series": "1.2"})


def test_shards_are_of_like_size() -> None:
    origins = [{"input": f"/data/s{k:04}/ct.nii.gz"} for k in range(2000)]
    sizes = [sum(Shard(k, 8).holds(one) for one in origins) for k in range(1, 9)]
    assert 200 < min(sizes) <= max(sizes) < 300  # 250 each, and three standard deviations of 15


@pytest.mark.parametrize("text", ["0/4", "5/4", "4", "1/0", "a/b", "-1/4", "1/4/2", "1.0/4", "²/4", ""])
def test_what_is_no_shard_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="shard"):
        Shard.read(text)
