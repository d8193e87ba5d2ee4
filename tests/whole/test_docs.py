"""What the documentation names must exist: files, headings, commands, options, settings, code."""

from __future__ import annotations

import ast
import importlib
import inspect
import json
import re
import runpy
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import typer.main

import sammix
from sammix.cli import app
from sammix.config import DataConfig, FitConfig, ModelConfig, load_preset, presets
from sammix.data import store, table
from sammix.demo.phantoms import PORTAL, make_phantom
from sammix.evaluation import patients, schema
from sammix.inference import manifest, suggestions
from sammix.io import open_dataset
from sammix.io.volume import Volume
from sammix.io.writers.nifti_mask import write_mask
from sammix.models import card
from sammix.training import run_folder

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "docs/reference.md"
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("benchmarks/*.md"), *ROOT.glob("src/**/*.md")])
SECTIONS = {"data": DataConfig, "model": ModelConfig, "fit": FitConfig}
SETTINGS = [f"{section}.{key}" for section, model in SECTIONS.items() for key in model.model_fields]


def commands(command: Any, name: str = "") -> Iterator[tuple[str, set[str]]]:
    """Every command with its options: ``weights fetch``, {``--quiet``, ``-q``, ``--help``}."""
    names = {opt for parameter in command.params for opt in parameter.opts}
    yield name, {option for option in names if option.startswith("-")} | {"--help"}
    for child_name, child in getattr(command, "commands", {}).items():
        yield from commands(child, f"{name} {child_name}".strip())


COMMANDS = dict(commands(typer.main.get_command(app)))


def command_lines(text: str) -> Iterator[str]:
    """What follows ``sammix`` in code, up to the end of the line or of the code span."""
    spans = re.findall(r"`([^`\n]+)`", text)
    blocks = "\n".join(re.findall(r"^```\w*\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE))
    for code in [*spans, *blocks.replace("\\\n", " ").splitlines()]:
        if match := re.match(r"(?:\$ )?sammix +(.+)", code.split(" #")[0].strip()):
            yield match[1]


def wrong_in(line: str) -> list[str]:
    """Unknown commands and options in what follows ``sammix``."""
    words = line.split()
    name = next((" ".join(words[:n]) for n in (2, 1) if " ".join(words[:n]) in COMMANDS), "")
    if not name and not words[0].startswith("-"):
        return [f"no command: sammix {line}"]
    options = {word.split("=")[0] for word in words if re.match(r"--?[a-z]", word)}
    return [f"no option {option} in: sammix {line}" for option in sorted(options - COMMANDS[name])]


def anchors(page: Path) -> set[str]:
    """The ids that GitHub gives a page's headings."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    broken = []
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert not broken


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_and_options_exist(page: Path) -> None:
    lines = list(command_lines(page.read_text(encoding="utf-8")))
    assert [wrong for line in lines for wrong in wrong_in(line)] == []


def test_wrong_commands_are_noticed() -> None:
    assert wrong_in("fit DATA --out runs --labels 5") == []
    assert wrong_in("weights fetch lite-medsam -q") == []
    assert wrong_in("fit DATA --epochs 5") == ["no option --epochs in: sammix fit DATA --epochs 5"]
    assert wrong_in("train DATA") == ["no command: sammix train DATA"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_settings_exist(page: Path) -> None:
    named = re.findall(r"--set ([a-z]+\.[a-z_]+=[^\s`]+)", page.read_text(encoding="utf-8"))
    for setting in named:
        assert load_preset("lite", [setting])


def test_reference_names_every_command_and_option() -> None:
    text = REFERENCE.read_text(encoding="utf-8")
    parts = dict(re.findall(r"^### (sammix\b[a-z ]*)(.*?)(?=^##)", text, flags=re.DOTALL | re.MULTILINE))
    for name, options in COMMANDS.items():
        first = f"sammix {name.split(' ')[0]}".strip()
        part = next(body for title, body in parts.items() if title.strip() == first)
        missing = {option for option in options if f"`{option}" not in part and option != "--help"}
        assert not missing, f"sammix {name}: {missing}"


def test_reference_gives_every_setting_with_each_presets_value() -> None:
    text = REFERENCE.read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `((?:data|model|fit)\.\w+)` \| (.*) \|$", text, flags=re.MULTILINE))
    assert sorted(rows) == sorted(SETTINGS)
    for setting, row in rows.items():
        written = [cell.strip() for cell in row.split("|")[:3]]
        for name, cell in zip(("lite", "paper", "tiny"), written, strict=True):
            assert (cell or written[0]) == value(name, setting), f"{setting} in {name}"
    for name in presets():
        assert f"`{name}`" in text or f"**{name}**" in text, name


def value(preset: str, setting: str) -> str:
    """A setting as YAML and JSON write it: ``null``, ``0.5``, ``peak``."""
    section, key = setting.split(".")
    return json.dumps(getattr(getattr(load_preset(preset), section), key)).strip('"')


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_tests_exist(page: Path) -> None:
    """`tests/training/test_fitting.py::test_…`, and after it `::test_…` of the same file."""
    text = page.read_text(encoding="utf-8")
    for script in re.findall(r"`((?:benchmarks|tests)/[\w/]+\.py)", text):
        assert "NAME" in script or (ROOT / script).is_file(), script
    file = ""
    for named, test in re.findall(r"`(tests/[\w/]+\.py)?::(test_\w+)`", text):
        file = named or file
        assert f"\ndef {test}(" in (ROOT / file).read_text(encoding="utf-8"), f"{file}::{test}"


def source(name: str) -> Path:
    """A source file as pages name it: from the root, from the package, or from the documentation."""
    return next((path for root in ("", "src/sammix", "docs") if (path := ROOT / root / name).is_file()), ROOT / name)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_source_files_and_what_is_in_them_exist(page: Path) -> None:
    """`networks/prompts.py`; `mislead` in [`networks/prompts.py`]; `KINDS` in `src/sammix/models/registry.py`."""
    text = page.read_text(encoding="utf-8")
    files = {name for name in re.findall(r"`(\w+/[\w/]+\.py)`", text) if "NAME" not in name}
    assert [name for name in sorted(files) if not source(name).is_file()] == []
    listed = r"((?:`[\w.]+`(?: \([^)]*\))?(?:, | and )?)+)\s(?:in|of)\s\[?`([\w/]+\.py)`"
    for names, file in re.findall(listed, text):
        code = source(file).read_text(encoding="utf-8")
        for name in re.findall(r"`([\w.]+)`", re.sub(r"\([^)]*\)", "", names)):
            for part in name.split("."):
                assert re.search(rf"^\s*(?:def |class )?{part}\b", code, flags=re.MULTILINE), f"{name} in {file}"


def written_names() -> dict[str, Iterable[str]]:
    """What files hold, as the code has it: the names that programs read."""
    groups = (schema.Metrics, schema.Protocol, schema.Counts, schema.Overlap, schema.Presence, schema.Negatives)
    return {
        "formats": (store.FORMAT, card.FORMAT, card.FIRST_FORMAT, run_folder.FORMAT),
        "store": (*store.KINDS, *table.COLUMNS, "middle_fraction"),
        "config.json": run_folder.RunSettings.model_fields,
        "model.json": card.ModelCard.model_fields,
        "metrics.json": [name for group in groups for name in group.model_fields],
        "statistics": manifest.COLUMNS,
        "manifest": manifest.MODEL,
        "suggestions.csv": suggestions.COLUMNS,
        "splits": (patients.ALL, patients.UNSEEN),
    }


@pytest.mark.parametrize(
    ("file", "names"), written_names().items(), ids=lambda value: value if isinstance(value, str) else ""
)
def test_reference_names_what_files_hold(file: str, names: Iterable[str]) -> None:
    spans = re.findall(r"`([^`\n]+)`", REFERENCE.read_text(encoding="utf-8"))
    known = {word for span in spans for word in re.findall(r"[\w-]+", span)}
    assert sorted(set(names) - known) == []


def test_reference_names_all_that_python_offers_and_no_argument_that_is_not_there() -> None:
    part = REFERENCE.read_text(encoding="utf-8").split("## The Python API")[1]
    offered = {name for name in sammix.__all__ if name != "__version__"}
    assert sorted(offered - set(re.findall(r"`(\w+)[`(]", part))) == []
    rows = "\n".join(line for line in part.splitlines() if line.startswith("|"))
    for name, written in re.findall(r"`(\w+)\(([^)]*)\)`", rows):
        arguments = {word.strip().removesuffix("=") for word in written.split(",") if word.strip()}
        assert arguments <= set(inspect.signature(getattr(sammix, name)).parameters), name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_imports_in_examples_work(page: Path) -> None:
    for code in re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE):
        for node in ast.walk(ast.parse(code)):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("sammix"):
                module = importlib.import_module(node.module or "")
                assert all(hasattr(module, alias.name) for alias in node.names), ast.unparse(node)
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "sammix":
                assert node.attr in sammix.__all__, ast.unparse(node)


def test_slice_table_example_keeps_hu_labels_and_drawn_slices(tmp_path: Path) -> None:
    phantom = make_phantom(0, PORTAL.at((48, 48, 8)))
    scan, truth = (Volume(array, phantom.affine) for array in (phantom.hu, (phantom.mask > 0).astype(np.uint8)))
    first, *_, last = np.flatnonzero(truth.axial().array.any(axis=(1, 2)))
    drawn = truth.axial().array * (np.arange(8) == last)[:, None, None]
    for folder in ("scans", "drawn"):
        (tmp_path / folder).mkdir()
    nib.save(nib.Nifti1Image(scan.array, scan.affine), tmp_path / "scans/p.nii.gz")
    write_mask(tmp_path / "drawn/p.nii.gz", truth.from_axial(drawn).array, truth)
    (tmp_path / "ranges.csv").write_text(f"scan,first,last\np,{first},{last}\n")
    main = runpy.run_path(str(ROOT / "docs/examples/slice_table.py"))["main"]
    main(tmp_path / "scans", tmp_path / "ranges.csv", tmp_path / "drawn", tmp_path / "table")

    cases = open_dataset(tmp_path / "table").cases
    assert [case.label for case in cases] == [int(first <= index <= last) for index in range(8)]
    assert [index for index, case in enumerate(cases) if case.mask] == [last]
    for case, hu in zip(cases, scan.axial().array, strict=True):
        np.testing.assert_array_equal(case.read().axial().array[0], hu)
    mask = cases[last].read_mask(cases[last].read())
    assert mask is not None
    np.testing.assert_array_equal(mask.axial().array[0], drawn[last])
