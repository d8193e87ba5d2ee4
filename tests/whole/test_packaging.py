"""What ``python -m build`` makes holds all that the program needs: installed elsewhere, it runs there."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest
import typer.main
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import sammix
from sammix.cli import app
from sammix.models.catalogue import CATALOGUE, Wheel
from sammix.models.pretrained import locate

ROOT = Path(__file__).parents[2]
LEFT_OUT = ("pip", "sammix", "__editable__", "_distutils_hack", "distutils-precedence")  # of an environment's packages


def run(*command: object, cwd: Path, **settings: str) -> str:
    """Run a program of another environment, out of reach of the sources; returns what it prints."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | settings
    done = subprocess.run(
        list(map(str, command)), capture_output=True, text=True, check=False, cwd=cwd, env=environment
    )
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout


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
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, tree, cwd=folder)
    return folder


@pytest.fixture(scope="module")
def fresh(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of a new environment without pip, in which the wheel, which was made of the sdist, is installed.

    What sammix depends on is not downloaded anew: links lead to the packages that the tests run with. Neither pip nor
    this checkout is among them.
    """
    folder = tmp_path_factory.mktemp("fresh")
    run(sys.executable, "-m", "venv", "--without-pip", folder, cwd=folder)
    (site,) = folder.glob("lib/python*/site-packages")
    for packages in (Path(path) for path in sys.path if Path(path).name in ("site-packages", "dist-packages")):
        for package in packages.iterdir():
            if not package.name.startswith(LEFT_OUT) and not (site / package.name).exists():
                (site / package.name).symlink_to(package)
    (wheel,) = built.glob("*.whl")
    pip = (
        sys.executable,
        "-m",
        "pip",
        "--python",
        folder / "bin" / "python",
        "install",
        "--quiet",
        "--no-deps",
        "--no-compile",
    )
    run(*pip, "--no-index", "--disable-pip-version-check", wheel, cwd=folder)
    return folder / "bin"


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


def test_the_installed_program_segments_a_scan(fresh: Path, tiny_run: Path, hospital_a: Path, tmp_path: Path) -> None:
    code = "import sammix, pathlib; print(pathlib.Path(sammix.__file__).parent)"
    assert Path(run(fresh / "python", "-c", code, cwd=tmp_path).strip()).is_relative_to(fresh.parent)
    assert run(fresh / "sammix", "--version", cwd=tmp_path).split() == ["sammix", sammix.__version__]
    command = ("predict", tiny_run, hospital_a / "volume-0.nii", "--out", "masks", "--device", "cpu", "--quiet")
    run(fresh / "sammix", *command, cwd=tmp_path)
    assert (tmp_path / "masks/volume-0_liver.nii.gz").is_file()
    assert "Liver masks of 1 scan" in (tmp_path / "masks/index.html").read_text()


@pytest.mark.usefixtures("lite_medsam")
def test_weights_are_fetched_in_an_environment_without_pip(fresh: Path, tmp_path: Path) -> None:
    """As uv makes them. No network: pip finds a wheel of the real weights in a folder."""
    entry = CATALOGUE["lite-medsam"]
    assert isinstance(entry.source, Wheel)
    name, version = entry.source.requirement.split("==")
    stem = f"{name.replace('-', '_')}-{version}"
    (tmp_path / "shelf").mkdir()
    with zipfile.ZipFile(tmp_path / "shelf" / f"{stem}-py3-none-any.whl", "w") as wheel:
        wheel.write(locate("lite-medsam"), entry.source.member)
        wheel.writestr(f"{stem}.dist-info/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        wheel.writestr(f"{stem}.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{stem}.dist-info/RECORD", "")
    without = subprocess.run([fresh / "python", "-m", "pip"], capture_output=True, text=True, check=False)
    assert "No module named pip" in without.stderr
    settings = {"SAMMIX_HOME": str(tmp_path), "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(tmp_path / "shelf")}
    path = Path(run(fresh / "sammix", "weights", "fetch", entry.name, cwd=tmp_path, **settings).strip())
    assert path.is_relative_to(tmp_path)
    assert path.stat().st_size == entry.sizes[0]
    assert run(fresh / "sammix", "weights", "verify", cwd=tmp_path, **settings).startswith("lite-medsam: ")


PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
NOT_PINNED = {"sammix", "nnunetv2"}
"""The project itself; and the real nnU-Net, which is run in an environment of its own."""


@pytest.mark.parametrize("extra", [None, *EXTRAS])
def test_each_requirement_is_pinned_to_a_version_that_it_allows(extra: str | None) -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = {canonicalize_name(name): version for name, _, version in (line.partition("==") for line in lines)}
    wanted = [Requirement(line) for line in (PROJECT["dependencies"] if extra is None else EXTRAS[extra])]
    for one in wanted:
        name = canonicalize_name(one.name)
        assert name in NOT_PINNED or one.specifier.contains(pins.get(name, "none"), prereleases=True), one


def test_the_container_is_built_of_what_there_is() -> None:
    """It is not built here: what it copies exists, and its pins, its Python and its commands are those tested."""
    text = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
    steps = [line.split(maxsplit=1) for line in text.splitlines() if line and not line.startswith("#")]
    done = {word: [rest for name, rest in steps if name == word] for word, _ in steps}
    (base,) = done["FROM"]
    version = re.fullmatch(r"python:(\d+\.\d+)-slim", base)
    assert version is not None
    assert version[1] == PROJECT["requires-python"].removeprefix(">=")
    copied = {source for rest in done["COPY"] for source in shlex.split(rest)[:-1]}
    assert all((ROOT / source).exists() for source in copied)
    assert {"src", "pyproject.toml", PROJECT["readme"], *PROJECT["license-files"]} <= copied
    install, fetch = done["RUN"][1:]
    assert re.fullmatch(r"pip install --no-cache-dir -c constraints.txt \.", install)
    assert "constraints.txt" in copied
    assert shlex.split(fetch) == ["sammix", "weights", "fetch", "lite-medsam"]
    assert "lite-medsam" in CATALOGUE
    assert done["USER"] == ["sammix"], "not as root"
    assert done["ENTRYPOINT"] == ['["sammix"]']
    assert {"weights", "predict"} <= set(typer.main.get_command(app).commands)  # type: ignore[attr-defined]
    unwanted = (ROOT / ".dockerignore").read_text().splitlines()
    assert unwanted[0] == "*"
    assert {line.removeprefix("!") for line in unwanted if line.startswith("!")} == copied
