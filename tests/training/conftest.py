"""Finished and interrupted runs, and what two runs are compared by."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
from safetensors.torch import load_file


@pytest.fixture
def copied_run(tiny_run: Path, tmp_path: Path) -> Path:
    """A copy of the finished toy run, to be changed."""
    return shutil.copytree(tiny_run, tmp_path / "copy")


@pytest.fixture
def log() -> Callable[[Path], list[dict[str, object]]]:
    """``log(run)`` → the lines of its ``log.jsonl`` without their time."""

    def read(run: Path) -> list[dict[str, object]]:
        lines = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
        return [{name: value for name, value in line.items() if name != "time"} for line in lines]

    return read


@pytest.fixture
def same_weights() -> Callable[[Path, Path], bool]:
    """``same_weights(run, other)``: are all trained weights equal, bit by bit?"""

    def compare(run: Path, other: Path) -> bool:
        first, second = (load_file(one / "model" / "model.safetensors") for one in (run, other))
        return first.keys() == second.keys() and all(first[name].equal(second[name]) for name in first)

    return compare


@pytest.fixture
def interrupted(monkeypatch: pytest.MonkeyPatch) -> Callable[..., AbstractContextManager[None]]:
    """``with interrupted(owner, name, after=0):`` the call of ``owner.name`` after so many raises KeyboardInterrupt."""

    @contextmanager
    def context(owner: object, name: str, after: int = 0) -> Iterator[None]:
        calls, whole = 0, getattr(owner, name)

        def cut(*args: object, **kwargs: object) -> object:
            nonlocal calls
            calls += 1
            if calls > after:
                raise KeyboardInterrupt
            return whole(*args, **kwargs)

        with monkeypatch.context() as patch:
            patch.setattr(owner, name, cut)
            with pytest.raises(KeyboardInterrupt):
                yield

    return context
