"""The house rules that can be checked by reading the files: tests mirror sources, and imports point down."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCE, TESTS = ROOT / "src" / "sammix", ROOT / "tests"
PYTHON = (SOURCE, TESTS, ROOT / "benchmarks", ROOT / "docs")
LONGEST = 400  # lines

FLOOR = {"errors", "files", "log", "config", "cluster"}
MAY_IMPORT = {
    "errors": set(),
    "files": {"errors"},
    "log": {"errors"},
    "config": {"errors", "files", "log"},
    "cluster": {"errors", "log"},
    "io": FLOOR,
    "data": {*FLOOR, "io"},
    "networks": {*FLOOR, "io", "data"},
    "models": {*FLOOR, "io", "data", "networks"},
    "inference": {*FLOOR, "io", "data", "networks"},
    "evaluation": {*FLOOR, "io", "data", "networks", "inference"},
    "training": {*FLOOR, "io", "data", "networks", "models", "evaluation.metrics"},
    "report": {*FLOOR, "io", "data", "networks", "inference", "evaluation"},
}
MAY_IMPORT["label"] = {*MAY_IMPORT["training"], "training", "evaluation", "inference"}
MAY_IMPORT["node"] = {*FLOOR, "io", "networks", "inference"}
MAY_IMPORT["demo"] = {*MAY_IMPORT}
MAY_IMPORT["reproduce"] = {*MAY_IMPORT}
TOP = {"__init__", "__main__", "api", "cli"}
"""What stands on all rooms, and on which no room stands."""


def modules() -> list[Path]:
    """Every module of the package, relative to it."""
    return sorted(path.relative_to(SOURCE) for path in SOURCE.rglob("*.py"))


def room_of(module: Path) -> str:
    """The room that a module lies in; a plain file of the top floor is a room of its own."""
    return module.parts[0].removesuffix(".py")


def imported(module: Path, code: str) -> Iterator[str]:
    """What a module imports of sammix, wherever in it: names such as ``data.slices`` and ``data.slices.read``."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            package = ["sammix", *module.parent.parts][: len(module.parts) + 1 - node.level] if node.level else []
            base = ".".join([*package, *([node.module] if node.module else [])])
            names = [f"{base}.{alias.name}" for alias in node.names]
        else:
            continue
        yield from (name.removeprefix("sammix.") for name in names if name.startswith("sammix."))


def test_every_module_has_a_test_of_its_name_in_the_same_place() -> None:
    """``__init__`` and ``__main__`` may have one: ``test_init.py``."""
    tests = {path.relative_to(TESTS) for path in TESTS.rglob("test_*.py")}
    possible = {module: module.with_name(f"test_{module.stem.strip('_')}.py") for module in modules()}
    missing = sorted(str(test) for module, test in possible.items() if module.stem[0] != "_" and test not in tests)
    assert not missing, "modules without a test: " + ", ".join(missing)
    alone = sorted(str(test) for test in tests - set(possible.values()) if test.parts[0] != "whole")
    assert not alone, "tests without a module: " + ", ".join(alone)


@pytest.mark.parametrize("room", sorted({room_of(module) for module in modules()} - TOP))
def test_imports_point_down(room: str) -> None:
    assert room in MAY_IMPORT, "say in MAY_IMPORT where this room stands"
    allowed = {"__version__", room, *MAY_IMPORT[room]}
    wrong = [
        f"{module} imports {name}"
        for module in modules()
        if room_of(module) == room
        for name in imported(module, (SOURCE / module).read_text(encoding="utf-8"))
        if not any(name == other or name.startswith(f"{other}.") for other in allowed)
    ]
    assert not wrong, "\n".join(wrong)


def test_the_arrows_between_rooms_make_no_circle() -> None:
    """Of all rooms, the top ones too. What ``__init__`` says itself, such as the version, is no arrow."""
    arrows: dict[str, dict[str, str]] = defaultdict(dict)
    for module in modules():
        for name in imported(module, (SOURCE / module).read_text(encoding="utf-8")):
            arrows[room_of(module)].setdefault(name.split(".")[0], f"{module} imports {name}")
    try:
        TopologicalSorter({room: set(to) - {room} for room, to in arrows.items()}).prepare()
    except CycleError as error:
        circle = reversed(error.args[1])
        pytest.fail("; ".join(arrows[one][other] for one, other in pairwise(circle)))


def test_no_file_is_too_long() -> None:
    for path in (path for folder in PYTHON for path in folder.rglob("*.py")):
        lines = len(path.read_text(encoding="utf-8").splitlines())
        assert lines <= LONGEST, f"{path.relative_to(ROOT)} has {lines} lines"


def test_no_two_modules_have_one_name() -> None:
    places = defaultdict(list)
    for module in modules():
        if not module.stem.startswith("__"):
            places[module.name].append(str(module))
    twins = [" and ".join(where) for where in places.values() if len(where) > 1]
    assert not twins, "; ".join(twins)


@pytest.mark.parametrize(
    ("line", "names"),
    [
        ("import sammix.data.slices as s", ["data.slices"]),
        ("from sammix.data import slices, store", ["data.slices", "data.store"]),
        ("from sammix import config", ["config"]),
        ("from . import limits", ["io.limits"]),
        ("from ..data.slices import read", ["data.slices.read"]),
        ("import sammixture, os.path", []),
    ],
)
def test_every_way_to_import_is_seen(line: str, names: list[str]) -> None:
    assert list(imported(Path("io/a.py"), f"def f():\n    {line}\n")) == names
