"""A call of the API leaves all that belongs to the caller's process as it was."""

from __future__ import annotations

import logging
import os
import random
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any

from sammix.log import on_terminal


@contextmanager
def callers_state(progress: bool = False) -> Iterator[None]:
    """Run a call of the API, or its imports, in torch's own defaults, and give the caller all back as it was.

    Kept are the random states of Python, numpy and torch, torch's default dtype and grad mode, the settings of logging,
    the warning filters and the environment. Inside, the default dtype is float32 and gradients are on, whatever the
    caller has set, so that a result does not depend on it.

    Args:
        progress: show messages and progress on standard error meanwhile.
    """
    keepers: list[Callable[[], AbstractContextManager[Any]]] = [
        _python_chance,
        _logging,
        _environment,
        warnings.catch_warnings,
    ]
    keepers += [_numpy_chance] * ("numpy" in sys.modules)  # what is not there yet has no state
    keepers += [_torch_chance, _torch_settings] * ("torch" in sys.modules)
    with ExitStack() as kept:
        for keep in keepers:
            kept.enter_context(keep())
        if progress:
            kept.enter_context(on_terminal())
        yield


@contextmanager
def _python_chance() -> Iterator[None]:
    state = random.getstate()
    try:
        yield
    finally:
        random.setstate(state)


@contextmanager
def _numpy_chance() -> Iterator[None]:
    import numpy as np

    state = np.random.get_state()  # noqa: NPY002
    try:
        yield
    finally:
        np.random.set_state(state)  # noqa: NPY002


@contextmanager
def _torch_chance() -> Iterator[None]:
    """Keep torch's random states. CUDA's are seeded anew where it was not yet in use: then there is none to keep."""
    import torch

    gpus = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else ()  # type: ignore[no-untyped-call]
    try:
        with torch.random.fork_rng(devices=gpus):
            yield
    finally:
        if torch.cuda.is_available() and not gpus:
            torch.cuda.manual_seed_all(torch.initial_seed())


@contextmanager
def _torch_settings() -> Iterator[None]:
    """Keep torch's default dtype and grad mode, and work in float32 with gradients."""
    import torch

    dtype = torch.get_default_dtype()
    try:
        torch.set_default_dtype(torch.float32)
        with torch.inference_mode(False), torch.enable_grad():
            yield
    finally:
        torch.set_default_dtype(dtype)


@contextmanager
def _logging() -> Iterator[None]:
    """Keep the settings of every logger there is: libraries that are imported meanwhile change their own."""
    named = [one for one in logging.root.manager.loggerDict.values() if isinstance(one, logging.Logger)]
    before = [(one, one.level, list(one.handlers), one.propagate) for one in (logging.root, *named)]
    try:
        yield
    finally:
        for logger, level, handlers, propagate in before:
            logger.setLevel(level)
            logger.handlers[:] = handlers
            logger.propagate = propagate


@contextmanager
def _environment() -> Iterator[None]:
    """Keep the environment variables."""
    before = dict(os.environ)
    try:
        yield
    finally:
        for name in os.environ.keys() - before.keys():
            del os.environ[name]
        os.environ.update({name: value for name, value in before.items() if os.environ.get(name) != value})
