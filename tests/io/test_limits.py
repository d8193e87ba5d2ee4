from __future__ import annotations

import pytest

import sammix.io.limits
from sammix.errors import InputError
from sammix.io.limits import check_size


def test_more_voxels_than_the_machine_has_memory_are_refused(tmp_path, monkeypatch):
    (tmp_path / "ct.nii").write_bytes(bytes(1000))
    monkeypatch.setattr(sammix.io.limits, "_memory", lambda: 999)
    check_size(tmp_path / "ct.nii", (10, 10, 4), 800)
    with pytest.raises(InputError, match="10 × 10 × 5 voxels need 1,000 bytes of memory, this machine has 999"):
        check_size(tmp_path / "ct.nii", (10, 10, 5), 500)


def test_the_machines_memory_is_known_or_no_limit(monkeypatch):
    assert 2**28 < sammix.io.limits._memory() < 2**50
    monkeypatch.delattr("os.sysconf")  # as on Windows
    assert sammix.io.limits._memory() >= 2**60
