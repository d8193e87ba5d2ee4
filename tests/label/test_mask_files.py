from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from PIL import Image

from sammix.errors import InputError
from sammix.label.mask_files import MaskFiles, name_of


@given(st.data())
def test_a_mask_comes_back_as_it_was(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    mask = data.draw(arrays(bool, array_shapes(min_dims=2, max_dims=2, max_side=40)))
    files = MaskFiles(tmp_path_factory.mktemp("masks"))
    np.testing.assert_array_equal(files.read(files.keep(mask)), mask)


def test_masks_of_other_shapes_have_other_names() -> None:
    assert name_of(np.ones((2, 8), bool)) != name_of(np.ones((8, 2), bool))


def test_a_mask_is_written_once_as_a_png_of_one_bit(tmp_path: Path) -> None:
    files, mask = MaskFiles(tmp_path), np.eye(512, dtype=bool)
    files.keep(mask)
    (path,) = tmp_path.rglob("*.png")
    before = path.stat().st_mtime_ns
    files.keep(mask)
    assert path.stat().st_mtime_ns == before
    assert Image.open(path).mode == "1"


@pytest.mark.parametrize("name", ["../../etc/passwd", "", "x" * 64, "0" * 63 + "/"])
def test_no_path_from_outside_is_read(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="no mask's name"):
        MaskFiles(tmp_path).read(name)


def test_a_damaged_mask_is_named(tmp_path: Path) -> None:
    files = MaskFiles(tmp_path)
    name = files.keep(np.eye(9, dtype=bool))
    (path,) = tmp_path.rglob("*.png")
    Image.fromarray(np.ones((9, 9), bool)).save(path)
    with pytest.raises(InputError, match="not what its name says"):
        files.read(name)
    path.write_bytes(path.read_bytes()[:30])
    with pytest.raises(InputError, match="missing or damaged"):
        files.read(name)
    path.unlink()
    with pytest.raises(InputError, match="missing or damaged"):
        files.read(name)
