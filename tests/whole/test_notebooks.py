"""The notebooks run from their first cell to their last, and use nothing but the API."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

NOTEBOOKS = sorted((Path(__file__).parents[2] / "docs" / "notebooks").glob("*.ipynb"))
MAY_IMPORT = {"sammix", "numpy", "matplotlib"} | set(sys.stdlib_module_names)


def cells(notebook: Path, kind: str) -> list[str]:
    return ["".join(cell["source"]) for cell in json.loads(notebook.read_text())["cells"] if cell["cell_type"] == kind]


def as_script(source: str) -> str:
    """A cell as a notebook runs it: the last expression's value is shown, as a picture where it has one."""
    tree = ast.parse(source)
    last = tree.body[-1]
    if isinstance(last, ast.Expr):
        tree.body[-1] = ast.parse("shown(0)").body[0]
        tree.body[-1].value.args = [last.value]  # type: ignore[attr-defined]
    return ast.unparse(ast.fix_missing_locations(tree))


SHOWN = """
def shown(value):
    picture = value._repr_png_() if hasattr(value, "_repr_png_") else None
    assert picture is None or picture.startswith(b"\\x89PNG")
    print("shown:", value)
"""


@pytest.mark.usefixtures("lite_medsam")
@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_cell_runs(notebook: Path, tmp_path: Path) -> None:
    code = "\n".join([SHOWN, *map(as_script, cells(notebook, "code"))])
    environment = os.environ | {"MPLBACKEND": "Agg", "TMPDIR": str(tmp_path), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for told in ("shown: Model('liver-ct-lite'", "shown: liver.nii.gz", "shown: True", "did you mean 'fit.epochs'?"):
        assert told in done.stdout
    dice = float(done.stdout.split("\nDice ")[1].split(";")[0])
    assert dice > 0.8, "the picture shows a liver that was found"


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_nothing_but_the_api_is_used(notebook: Path) -> None:
    imported = set()
    for node in ast.walk(ast.parse("\n".join(cells(notebook, "code")))):
        if isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
        if isinstance(node, ast.ImportFrom):
            imported.add(str(node.module))
    assert "sammix" in imported
    assert {name.split(".")[0] for name in imported} <= MAY_IMPORT
    assert not [name for name in imported if name.startswith("sammix.")]


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_is_stored_without_outputs(notebook: Path) -> None:
    content: dict[str, Any] = json.loads(notebook.read_text())
    assert (content["nbformat"], content["nbformat_minor"]) == (4, 5)
    assert len({cell["id"] for cell in content["cells"]}) == len(content["cells"])
    assert not [cell for cell in content["cells"] if cell.get("outputs") or cell.get("execution_count")]
    assert any(cell["cell_type"] == "markdown" for cell in content["cells"])
