from __future__ import annotations

from pathlib import Path

import pytest

import sammix


def test_phantoms_are_a_data_set(tmp_path: Path) -> None:
    folder = sammix.make_phantoms(str(tmp_path / "a"), 2, shape=(40, 40, 5))
    data = sammix.open_dataset(folder)
    assert (data.layout, len(data.cases)) == ("LiTS", 2)
    scan = data.cases[0].read()
    assert scan.array.shape == (40, 40, 5)
    mask = data.cases[0].read_mask(scan)
    assert mask is not None
    assert mask.array.any()
    again = sammix.make_phantoms(tmp_path / "b", 2, shape=(40, 40, 5))
    other = sammix.make_phantoms(tmp_path / "c", 2, seed=1, shape=(40, 40, 5))
    first, same, different = ((path / "volume-0.nii").read_bytes() for path in (folder, again, other))
    assert first == same
    assert first != different


def test_what_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine").touch()
    with pytest.raises(sammix.SammixError, match="is there already"):
        sammix.make_phantoms(tmp_path, 1, shape=(8, 8, 2))
    with pytest.raises(sammix.SammixError, match="1 or more"):
        sammix.make_phantoms(tmp_path / "new", 0)
    with pytest.raises(sammix.SammixError, match="three numbers of voxels above 0"):
        sammix.make_phantoms(tmp_path / "new", 1, shape=(8, 8))  # type: ignore[arg-type]
