"""The fuzzer damages these files: it finds nothing where the whole file is refused already."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.mark.parametrize("reader", ["nifti", "itk", "dicom", "table", "yaml", "model", "checkpoint", "store"])
def test_a_whole_seed_file_is_read(reader: str, tmp_path: Path) -> None:
    spec = importlib.util.spec_from_file_location("seed_files", BENCHMARKS / "seed_files.py")
    assert spec is not None
    assert spec.loader is not None
    seed_files = importlib.util.module_from_spec(spec)
    sys.modules["seed_files"] = seed_files  # its dataclasses look there
    spec.loader.exec_module(seed_files)
    target = seed_files.SEED_FILES[reader](tmp_path / "whole")
    target.read(target.folder)
