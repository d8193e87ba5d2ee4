from __future__ import annotations

import gc
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import distributed
import pytest
import torch

from sammix import __version__
from sammix.cluster import engine
from sammix.cluster.engine import Engine, connected, each_done
from sammix.cluster.share import memory_left
from sammix.errors import ConfigError, SammixError
from sammix.log import say_again, warn


def touch(folder: Path, name: str) -> tuple[str, int]:
    """Done once a name; a name of ``kill…`` kills its process, where it is met for the first time."""
    path = folder / name
    if not path.exists():
        path.touch()
        if name.startswith("kill"):
            os.kill(os.getpid(), signal.SIGKILL)
    if name == "fault":
        raise KeyError("no such module")
    return name, os.getpid()


def test_the_death_of_a_process_costs_no_job(tmp_path: Path) -> None:
    jobs = {name: (tmp_path, name) for name in [f"job{k}" for k in range(6)] + ["kill1", "kill2"]}
    with connected(Engine(workers=2)) as workers:
        results = dict(each_done(workers, touch, jobs))
        with pytest.raises(SammixError, match=r"fault could not be done .* need sammix .* and its packages"):
            list(each_done(workers, touch, {"fault": (tmp_path, "fault")}))
    assert {name: done.result[0] for name, done in results.items()} == {name: name for name in jobs}
    assert os.getpid() not in {done.result[1] for done in results.values()}


def test_a_workers_torch_has_the_threads_that_are_said(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    import dask.system

    monkeypatch.setattr(dask.system, "CPU_COUNT", 4)
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    caplog.set_level("INFO", logger="sammix")
    with connected(Engine(workers=2)) as workers:
        assert workers.client.submit(torch.get_num_threads).result(60) == min(2, os.cpu_count() or 1)  # MKL's most
    assert "2 workers, each with 2 threads and" in caplog.text
    assert not {"OMP_NUM_THREADS", "MKL_NUM_THREADS"} & os.environ.keys(), "this process keeps its own number"


def test_the_users_own_number_of_threads_holds_for_workers_and_is_said(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    import dask.system

    monkeypatch.setattr(dask.system, "CPU_COUNT", 4)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    caplog.set_level("INFO", logger="sammix")
    with connected(Engine(workers=1)) as workers:
        assert workers.client.submit(torch.get_num_threads).result(60) == 1
        assert 0 < workers.client.submit(memory_left).result(60) < (workers.memory or 0)
    assert "1 worker with 1 thread (OMP_NUM_THREADS) and" in caplog.text


def test_a_worker_with_another_sammix_does_nothing(tmp_path: Path) -> None:
    with pytest.raises(SammixError, match=r"a worker on .* has sammix .*, not 0\.0\.1"):
        engine._do("0.0.1", touch, (tmp_path, "job"))
    assert not list(tmp_path.iterdir())


def test_what_a_job_says_is_given_back(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger="sammix")
    done = engine._do(__version__, warn, ("look at this",))
    assert done.lines == [(30, "look at this")]
    assert not caplog.text
    say_again(done.lines)
    assert "look at this" in caplog.text


@pytest.fixture
def no_workers() -> Iterator[Any]:
    """A scheduler to which no worker has come."""
    with distributed.LocalCluster(n_workers=0, dashboard_address=None, host="127.0.0.1", silence_logs=50) as cluster:
        yield cluster


def test_work_that_nobody_comes_for_is_given_up(no_workers: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "LOOK", 0.1)
    monkeypatch.setattr(engine, "PATIENCE", 0)
    with (
        connected(Engine(scheduler=no_workers.scheduler_address)) as workers,
        pytest.raises(SammixError, match="no worker was there for 0 s; what is done stays"),
    ):
        list(each_done(workers, touch, {"job": (Path(), "job")}))


def test_a_scheduler_that_ends_is_named(no_workers: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "LOOK", 0.1)
    monkeypatch.setattr(engine, "ANSWER", 1)
    monkeypatch.setattr(engine, "_count", lambda _: no_workers.close() or 1)
    with (
        connected(Engine(scheduler=no_workers.scheduler_address)) as workers,
        pytest.raises(SammixError, match="the scheduler is gone; what is done stays"),
    ):
        list(each_done(workers, touch, {"job": (Path(), "job")}))


@pytest.mark.parametrize("address", ["nonsense", "tcp://127.0.0.1:9"])
def test_an_address_where_none_is_is_named_and_leaves_nothing_open(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An open client that the garbage collector finds can stop this process for good, whatever it does then."""
    monkeypatch.setattr(engine, "ANSWER", 1)
    with pytest.raises(SammixError) as found, connected(Engine(0, address)):
        pass
    assert {one.status for one in gc.get_objects() if type(one) is distributed.Client} == {"closed"}
    assert f"{address}: no scheduler answers there" in str(found.value)


@pytest.mark.parametrize("wrong", [{}, {"workers": 2, "scheduler": "tcp://127.0.0.1:1"}])
def test_one_of_both_must_be_named(wrong) -> None:
    with pytest.raises(ConfigError, match="one of them"):
        Engine(**wrong)
