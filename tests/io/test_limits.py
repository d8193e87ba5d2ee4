from __future__ import annotations

import pytest

import sammix.io.limits
from sammix.errors import InputError
from sammix.io.limits import check_size, say_what_fits


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


def test_a_worker_refuses_what_it_would_be_ended_for(tmp_path, monkeypatch):
    (tmp_path / "ct.nii").write_bytes(bytes(1000))
    monkeypatch.setattr(sammix.io.limits, "memory_left", lambda: 2_000)
    check_size(tmp_path / "ct.nii", (10, 10, 4), 800)
    with pytest.raises(InputError, match=r"need about 0\.0 GB of memory, and this worker .* take fewer workers"):
        check_size(tmp_path / "ct.nii", (10, 10, 5), 1_000)


@pytest.mark.parametrize(
    ("gigabytes", "said", "level"), [(4, "up to about 2212 slices", "INFO"), (1.5, "about 400 slices", "WARNING")]
)
def test_how_large_a_scan_fits_is_said(caplog, gigabytes, said, level):
    caplog.set_level("INFO", logger="sammix")
    say_what_fits(int(gigabytes * 1e9), 900_000_000)
    (line,) = caplog.records
    assert line.levelname == level
    assert said in line.message
    say_what_fits(None, 0)
    assert len(caplog.records) == 1
