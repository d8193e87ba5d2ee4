"""Without the extras everything works but what needs them, and that says which command mends it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

OF_BASELINES = ("monai", "batchgeneratorsv2")

# Import all of sammix; then run each command, and leave its exit code and its words in a file.
COMMANDS = """
import contextlib, importlib, io, json, pathlib, pkgutil, sys
import sammix
from sammix.cli import main

for module in pkgutil.walk_packages(sammix.__path__, "sammix."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
found = []
for words in json.loads(sys.argv[1]):
    sys.argv, code = ["sammix", *words], 0
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as errors:
        try:
            main()
        except SystemExit as leave:
            code = leave.code
    found.append([code or 0, out.getvalue().splitlines(), errors.getvalue().splitlines()])
pathlib.Path("found.json").write_text(json.dumps(found))
"""


@pytest.fixture
def without_baselines(tmp_path: Path) -> dict[str, str]:
    """An environment in which the extra's packages cannot be imported, as if they were not installed."""
    folder = tmp_path / "absent"
    folder.mkdir()
    for name in OF_BASELINES:
        (folder / f"{name}.py").write_text(f"raise ModuleNotFoundError({f'No module named {name}'!r})\n")
    return {**os.environ, "PYTHONPATH": str(folder), "OMP_NUM_THREADS": "1"}


def test_without_the_baselines_extra(
    without_baselines: dict[str, str], tiny_run: Path, hospital_a: Path, tmp_path: Path
) -> None:
    scan, small = str(hospital_a / "volume-0.nii"), ["--labels", "4", "--set", "data.size=32", "--device", "cpu"]
    commands = [
        ["predict", str(tiny_run), scan, "--out", "masks"],
        ["info", "models"],
        ["fit", str(hospital_a), "--preset", "nnunet-style", *small, "--out", "run"],
    ]
    done = subprocess.run(
        [sys.executable, "-c", COMMANDS, json.dumps(commands)],
        env=without_baselines,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    predicted, (told, table, _), (refused, _, errors) = json.loads((tmp_path / "found.json").read_text())
    assert predicted[0] == 0, predicted
    assert list((tmp_path / "masks").glob("*.nii.gz"))

    assert told == 0
    assert {"unet", "transunet", "multimix", "LiteMedSAM"} <= {line.split()[0] for line in table}
    *rows, last = table
    assert not any(row.startswith("nnunet-style") for row in rows)
    assert last.startswith("nnunet-style is left out")
    assert last.endswith('pip install "sammix[baselines]"')

    assert refused == 2
    assert errors[-1].startswith("error: the nnunet-style network needs packages that cannot be imported (No module")
    assert errors[-1].endswith('pip install "sammix[baselines]"')
    assert not any("Traceback" in line for line in errors)
