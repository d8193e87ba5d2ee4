"""No call of the API changes what belongs to the caller's process, nor depends on it."""

from __future__ import annotations

import logging
import os
import random
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import sammix
from sammix.api.callers_state import callers_state


def state() -> dict[str, Any]:
    """All that a call must leave as it was, in a form that can be compared."""
    loggers = [logging.getLogger(name) for name in (None, "sammix", "lightning_fabric", "transformers", "matplotlib")]
    kind, keys, *rest = np.random.get_state()  # noqa: NPY002
    return {
        "random": random.getstate(),
        "numpy": (kind, keys.tolist(), rest),
        "torch": torch.get_rng_state().tolist(),
        "seed": torch.initial_seed(),
        "threads": (torch.get_num_threads(), torch.get_num_interop_threads()),
        "dtype": torch.get_default_dtype(),
        "grad": (torch.is_grad_enabled(), torch.is_inference_mode_enabled()),
        "deterministic": (
            torch.are_deterministic_algorithms_enabled(),
            torch.is_deterministic_algorithms_warn_only_enabled(),
            torch.backends.cudnn.benchmark,
            torch.backends.cudnn.deterministic,
            torch.get_float32_matmul_precision(),
        ),
        "attention": (
            torch.backends.cuda.flash_sdp_enabled(),
            torch.backends.cuda.math_sdp_enabled(),
            torch.backends.cuda.mem_efficient_sdp_enabled(),
            torch.backends.cuda.fp16_bf16_reduction_math_sdp_allowed(),
        ),
        "logging": [(one.level, list(one.handlers), one.propagate, one.disabled) for one in loggers],
        "logging disabled": logging.root.manager.disable,
        "warnings": list(warnings.filters),
        "environment": dict(os.environ),
        "folder": Path.cwd(),
        "numpy errors": np.geterr(),
        "numpy printing": np.get_printoptions(),
    }


@pytest.fixture(params=["defaults", "unusual"])
def caller(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """A program with settings of its own."""
    monkeypatch.chdir(tmp_path)
    if request.param == "defaults":
        yield
        return
    monkeypatch.setenv("LOCAL_RANK_OF_MINE", "3")
    dtype, fabric = torch.get_default_dtype(), logging.getLogger("lightning_fabric")
    level = fabric.level
    with warnings.catch_warnings(), torch.no_grad(), torch.random.fork_rng():
        warnings.filterwarnings("ignore", "mine")
        torch.set_default_dtype(torch.float64)
        torch.use_deterministic_algorithms(True, warn_only=True)
        torch.manual_seed(99)
        fabric.setLevel(logging.DEBUG)
        try:
            yield
        finally:
            torch.set_default_dtype(dtype)
            torch.use_deterministic_algorithms(False)
            fabric.setLevel(level)


def refused(call: Callable[[], object]) -> None:
    with pytest.raises(sammix.SammixError):
        call()


CALLS: dict[str, Callable[[sammix.Run, Path], object]] = {
    "load": lambda run, data: sammix.load(run.path, "cpu"),
    "read_scan": lambda run, data: sammix.read_scan(data / "volume-0.nii"),
    "predict": lambda run, data: sammix.predict(run, data / "volume-0.nii", progress=True).show(),
    "fit": lambda run, data: sammix.fit(
        data,
        preset="tiny",
        labels=2,
        out="run",
        settings={"fit.epochs": 1, "fit.augment": True, "fit.views": 2},
        device="cpu",
    ),
    "fit from a model": lambda run, data: sammix.fit(
        data, preset="tiny", labels=2, out="on", start=run.path, settings={"fit.epochs": 1}, device="cpu", progress=True
    ),
    "evaluate": lambda run, data: sammix.evaluate(run, data),
    "a call that fails": lambda run, data: refused(lambda: sammix.fit(data, preset="no such")),
    "a fit that fails": lambda run, data: refused(
        lambda: sammix.fit(data, preset="tiny", settings={"data.organ": "spleen"}, out="none", device="cpu")
    ),
}


@pytest.mark.usefixtures("caller")
@pytest.mark.parametrize("name", CALLS)
def test_the_caller_finds_all_as_it_was(name: str, run: sammix.Run, hospital_a: Path) -> None:
    before = state()
    CALLS[name](run, hospital_a)
    after = state()
    assert {key: after[key] for key in before if after[key] != before[key]} == {}


def test_a_fit_does_not_depend_on_the_callers_state(run: sammix.Run, hospital_a: Path, tmp_path: Path) -> None:
    found = []
    for name, dtype in (("a", torch.float32), ("b", torch.float64)):
        torch.set_default_dtype(dtype)
        try:
            with torch.no_grad(), torch.random.fork_rng():
                torch.manual_seed(len(found))
                settings = {"fit.epochs": 1, "fit.augment": True, "fit.views": 2}
                sammix.fit(hospital_a, preset="tiny", labels=2, out=tmp_path / name, settings=settings, device="cpu")
        finally:
            torch.set_default_dtype(torch.float32)
        found.append(load_file(tmp_path / name / "model" / "model.safetensors"))
    assert all(torch.equal(value, found[1][name]) for name, value in found[0].items())
    assert all(value.dtype == torch.float32 for value in found[1].values() if value.is_floating_point())


def test_an_interruption_leaves_all_as_it_was() -> None:
    before = state()

    def interrupted() -> None:
        with callers_state(progress=True):
            torch.manual_seed(1)
            random.seed(1)
            np.random.seed(1)  # noqa: NPY002
            os.environ["OF_A_LIBRARY"] = "1"
            os.environ.pop("PATH")
            warnings.simplefilter("error")
            logging.getLogger("matplotlib").addHandler(logging.NullHandler())
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    after = state()
    assert {key: after[key] for key in before if after[key] != before[key]} == {}


FRESH = """
import logging, os, random, sys, warnings
import numpy, torch, sammix
torch.set_num_threads(1)
def state():
    loggers = [logging.getLogger(name) for name in (None, "sammix")]
    return {
        "random": random.getstate(), "numpy": str(numpy.random.get_state()), "torch": torch.get_rng_state().tolist(),
        "threads": torch.get_num_threads(), "environment": dict(os.environ), "warnings": list(warnings.filters),
        "logging": [(one.level, list(one.handlers), one.propagate) for one in loggers], "folder": os.getcwd(),
        "showwarning": warnings.showwarning, "hook": sys.excepthook, "path": list(sys.path),
    }
before = state()
data, out = sys.argv[1:]
run = sammix.fit(data, preset="tiny", labels=2, settings={"fit.epochs": 1}, out=out, device="cpu")
sammix.predict(run, data + "/volume-0.nii")
after = state()
print({key: (before[key], after[key]) for key in before if after[key] != before[key]})
"""


def test_nor_do_the_libraries_that_a_first_call_imports(hospital_a: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-c", FRESH, str(hospital_a), str(tmp_path / "run")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "{}\n"
    assert "Traceback" not in done.stderr
    assert not [line for line in done.stderr.splitlines() if "%" in line or "epoch" in line]
