"""A call of the API leaves all that belongs to the caller's process as it was."""

from __future__ import annotations

import logging
import os
import random
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import numpy as np
import torch

from sammix.log import on_terminal


@contextmanager
def callers_state(progress: bool = False) -> Iterator[None]:
    """Run a call of the API in torch's own defaults, and give the caller everything back as it was.

    Kept are the random states of Python, numpy and torch, torch's default dtype and grad mode, the settings of logging,
    the warning filters and the environment. Inside, the default dtype is float32 and gradients are on, whatever the
    caller has set, so that a result does not depend on it.

    Args:
        progress: show messages and progress on standard error meanwhile.
    """
    with ExitStack() as kept:
        for keep in (_chance, _torch, _logging, _environment, warnings.catch_warnings):
            kept.enter_context(keep())
        if progress:
            kept.enter_context(on_terminal())
        yield


@contextmanager
def _chance() -> Iterator[None]:
    """Keep the random states. CUDA's are seeded anew where it was not yet in use: then there is none to keep."""
    python, of_numpy = random.getstate(), np.random.get_state()  # noqa: NPY002
    gpus = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else ()  # type: ignore[no-untyped-call]
    try:
        with torch.random.fork_rng(devices=gpus):
            yield
    finally:
        random.setstate(python)
        np.random.set_state(of_numpy)  # noqa: NPY002
        if torch.cuda.is_available() and not gpus:
            torch.cuda.manual_seed_all(torch.initial_seed())


@contextmanager
def _torch() -> Iterator[None]:
    """Keep torch's default dtype and grad mode, and work in float32 with gradients."""
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
