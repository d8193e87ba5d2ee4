"""The wheel holds all that the program needs: it runs from a folder that is not the repository."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

import sammix

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist and the wheel that was made of it, by ``python -m build``."""
    folder = tmp_path_factory.mktemp("dist")
    tree = tmp_path_factory.mktemp("tree") / "sammix"
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("no git checkout to build from")
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            (tree / name).write_bytes((ROOT / name).read_bytes())
    done = subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(tree)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr + done.stdout[-2000:]
    return folder


def test_the_sdist_has_what_the_wheel_is_made_of(built: Path) -> None:
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.split("/", 1)[1] for name in archive.getnames() if "/" in name}
    assert {"LICENSE", "README.md", "pyproject.toml", "src/sammix/report/report.css"} <= names


def test_the_wheel_holds_every_file_of_the_package(built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    assert wheel.name.startswith(f"sammix-{sammix.__version__}-")
    with zipfile.ZipFile(wheel) as archive:
        held = set(archive.namelist())
    wanted = {
        path.relative_to(ROOT / "src").as_posix()
        for path in (ROOT / "src" / "sammix").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert wanted <= held


def test_the_wheel_runs_outside_the_repository(built: Path, tmp_path: Path) -> None:
    """Unpacked where pip would put it, without the sources in reach: commands that read every kind of packaged file."""
    (wheel,) = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    code = (
        "import sys, sammix, pathlib; from sammix.cli import main\n"
        "assert pathlib.Path(sammix.__file__).is_relative_to(sys.argv[1]), sammix.__file__\n"
        "from sammix.report.html import environment\n"
        "environment().get_template('predictions.html'); environment().get_template('report.html')\n"
        "from sammix.models.card import DEFAULT_MODEL, read_card\n"
        "from sammix.config import load_preset, presets\n"
        "print(read_card(pathlib.Path(DEFAULT_MODEL)).organ, len([load_preset(name) for name in presets()]))\n"
        "sys.argv = ['sammix', '--version']; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "site")],
        capture_output=True, text=True, check=False, cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path / "site")},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["liver", "10", "sammix", sammix.__version__]
