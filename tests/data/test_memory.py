from __future__ import annotations

from pathlib import Path

import pytest

from sammix.data.memory import available_memory


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """The root of a machine with 8 GB available."""
    write(tmp_path / "proc/meminfo", "MemTotal:       16000000 kB\nMemAvailable:    8000000 kB\n")
    return tmp_path


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_the_machine_says_what_is_available(machine: Path, tmp_path: Path) -> None:
    assert available_memory(machine) == 8_000_000 * 1024
    assert available_memory(tmp_path / "elsewhere") is None


@pytest.mark.parametrize("group", ["/", "/job_7/step_0"])
def test_a_limit_of_the_job_counts(machine: Path, group: str) -> None:
    write(machine / "proc/self/cgroup", f"0::{group}\n")
    folder = machine / "sys/fs/cgroup"
    write(folder / "memory.max", "max\n")
    assert available_memory(machine) == 8_000_000 * 1024
    write(folder / group.lstrip("/") / "memory.max", "3000000000\n")
    write(folder / group.lstrip("/") / "memory.current", "1000000000\n")
    write(folder / group.lstrip("/") / "memory.stat", "anon 5\ninactive_file 200000000\n")
    assert available_memory(machine) == 2_200_000_000


def test_a_limit_of_the_older_kind_on_a_group_around(machine: Path) -> None:
    write(machine / "proc/self/cgroup", "5:cpu,cpuacct:/x\n4:memory:/outer/inner\n")
    write(machine / "sys/fs/cgroup/memory/outer/memory.limit_in_bytes", "500\n")
    write(machine / "sys/fs/cgroup/memory/outer/memory.usage_in_bytes", "400\n")
    assert available_memory(machine) == 100
    write(machine / "sys/fs/cgroup/memory/outer/memory.usage_in_bytes", "600\n")
    assert available_memory(machine) == 0
