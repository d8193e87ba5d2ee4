from __future__ import annotations

import json
import os
import threading
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from sammix.errors import OutputError
from sammix.training.feature_cache import ENCODE_BATCH, SAVE_EVERY, FeatureCache, SliceView

SHAPE = (3, 2, 2)
ENTRIES = [(row, view) for row in range(5) for view in (0, 1)]


class Encoder:
    """Features that tell which entry they are of, and a record of what was computed."""

    def __init__(self, fail_at: SliceView | None = None) -> None:
        self.done: list[SliceView] = []
        self.fail_at = fail_at

    def __call__(self, entries: Sequence[SliceView]) -> torch.Tensor:
        if self.fail_at in entries:
            raise KeyboardInterrupt
        self.done += entries
        return torch.stack([torch.arange(12.0).view(SHAPE) / 100 + row + view / 10 for row, view in entries])


def cache(folder: Path, wanted: Sequence[SliceView], encode: Encoder, **key: object) -> FeatureCache:
    made = FeatureCache(folder, {"data": "a", **key}, SHAPE)
    made.add(wanted, encode)
    return made


def check(made: FeatureCache, entries: Sequence[SliceView]) -> None:
    assert torch.equal(made.read(entries), Encoder()(entries).half())


def test_features_are_read_in_any_order(tmp_path: Path) -> None:
    made = cache(tmp_path, ENTRIES, Encoder())
    check(made, ENTRIES)
    check(made, [(4, 1), (0, 0), (4, 1)])


def test_one_is_read_without_a_copy_and_changed_without_harm(tmp_path: Path) -> None:
    made = cache(tmp_path, ENTRIES, Encoder())
    one = made.read([(3, 1)])
    assert one.movedim(1, -1).is_contiguous()  # channels last, as they lie in the file
    assert one.data_ptr() == made.read([(3, 1)]).data_ptr()
    one += 1
    check(cache(tmp_path, ENTRIES, Encoder(fail_at=(0, 0))), ENTRIES)


def test_what_is_there_is_not_computed_again(tmp_path: Path) -> None:
    cache(tmp_path, ENTRIES[:6], Encoder())
    more = Encoder()
    check(cache(tmp_path, ENTRIES[4:], more), ENTRIES)
    assert more.done == ENTRIES[6:]
    other = Encoder()
    cache(tmp_path, ENTRIES, other, base="another")
    assert other.done == ENTRIES


def test_a_killed_run_leaves_what_it_has_computed(tmp_path: Path) -> None:
    many = [(row, 0) for row in range(ENCODE_BATCH * (SAVE_EVERY + 2))]
    with pytest.raises(KeyboardInterrupt):
        cache(tmp_path, many, Encoder(fail_at=many[-1]))
    rest = Encoder()
    check(cache(tmp_path, many, rest), many)
    assert rest.done == many[ENCODE_BATCH * (SAVE_EVERY + 1) :]


@pytest.mark.parametrize("file", ["features.f16", "views.json"])
def test_a_cache_that_is_cut_short_is_made_anew(tmp_path: Path, file: str, caplog: pytest.LogCaptureFixture) -> None:
    cache(tmp_path, ENTRIES, Encoder())
    (path,) = tmp_path.glob(f"*/{file}")
    os.truncate(path, path.stat().st_size // 2)
    again = Encoder()
    check(cache(tmp_path, ENTRIES, again), ENTRIES)
    assert again.done == ENTRIES
    assert file in caplog.text


def test_a_run_that_reads_is_not_disturbed_by_one_that_writes(tmp_path: Path) -> None:
    reading = cache(tmp_path, ENTRIES[:4], Encoder())
    cache(tmp_path, ENTRIES, Encoder())
    check(reading, ENTRIES[:4])
    (marker,) = tmp_path.glob("*/views.json")
    marker.write_text("{")
    cache(tmp_path, ENTRIES[5:], Encoder())
    check(reading, ENTRIES[:4])


def test_two_runs_at_once_compute_each_entry_once(tmp_path: Path) -> None:
    encoders = [Encoder(), Encoder()]
    runs = [threading.Thread(target=cache, args=(tmp_path, ENTRIES, encoder)) for encoder in encoders]
    for run in runs:
        run.start()
    for run in runs:
        run.join()
    assert sorted(encoders[0].done + encoders[1].done) == ENTRIES
    (marker,) = tmp_path.glob("*/views.json")
    assert len(json.loads(marker.read_text())["views"]) == len(ENTRIES)


def test_a_disk_too_small_is_said_before_it_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda folder: SimpleNamespace(free=100))
    with pytest.raises(OutputError, match=r"but 0\.0 GB are free; .*fit\.cache=false"):
        cache(tmp_path, ENTRIES, Encoder())
