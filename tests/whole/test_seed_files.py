"""The fuzzer damages these files: it finds nothing where the whole file is refused already."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest


@pytest.mark.parametrize("reader", ["nifti", "itk", "dicom", "table", "yaml", "model", "checkpoint", "store"])
def test_a_whole_seed_file_is_read(reader: str, benchmark: Callable[[str], ModuleType], tmp_path: Path) -> None:
    target = benchmark("seed_files").SEED_FILES[reader](tmp_path / "whole")
    target.read(target.folder)
