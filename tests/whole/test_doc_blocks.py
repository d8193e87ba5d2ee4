"""What the pages print under a block of commands is what these commands print."""

from __future__ import annotations

import json
import os
import re
import runpy
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
DOCS = runpy.run_path(str(ROOT / "docs" / "sessions.py"))
PAGES = [ROOT / "README.md", *sorted(ROOT.glob("docs/tutorial*.md")), *sorted(ROOT.glob("docs/how-to*.md"))]
PRINTED = {page: [session for _, session in DOCS["sessions"](page.read_text(encoding="utf-8"))] for page in PAGES}
RUN = [page for page in PAGES if any(not session.recorded for session in PRINTED[page])]


@pytest.mark.usefixtures("lite_medsam")
@pytest.mark.parametrize("page", RUN, ids=lambda page: page.stem)
def test_a_page_prints_what_its_commands_print(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    folder = DOCS["folder_for_a_session"](tmp_path)
    for session in PRINTED[page]:
        if not session.recorded:
            printed = DOCS["run"](session.commands, folder)
            assert DOCS["agree"](session.printed, printed), f"{session.commands}prints\n{printed}"


def test_the_epochs_that_the_tutorial_prints_have_the_figures_of_a_fit(tiny_run: Path) -> None:
    """The fit itself takes minutes; what its lines are made of must not grow old unseen."""
    logged = json.loads((tiny_run / "log.jsonl").read_text().splitlines()[-1])
    names = [name for name in logged if name not in ("time", "epoch", "best", "learning_rate")]
    tutorial = "".join(session.printed for session in PRINTED[ROOT / "docs" / "tutorial.md"] if session.recorded)
    epochs = re.findall(r"^epoch \d/\d: (.*)$", tutorial, flags=re.MULTILINE)
    assert len(epochs) > 5
    assert [line for line in epochs if re.findall(r"(\w+) \d\.\d{4}", line) != names] == []


def test_the_tutorial_and_the_how_to_are_among_them() -> None:
    assert {"tutorial", "how-to"} <= {page.stem for page in RUN}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_nothing_else_poses_as_output(page: Path) -> None:
    """A block says what it is, and output stands under its commands, so that nothing printed escapes the tests."""
    text = page.read_text(encoding="utf-8")
    assert [line for line in re.findall(r"^ *```(.*)$", text, flags=re.MULTILINE)[::2] if not line] == []
    assert text.count("```console\n") == len(PRINTED[page])
    assert not re.search(r"^```sh\n(?:(?!```).*\n)*```\n\n```(?!console)", text, flags=re.MULTILINE)


@pytest.mark.parametrize(
    ("written", "printed", "same"),
    [
        ("a\nb\n", "a\nb\n", True),
        ("a\nb\n", "a\nc\n", False),
        ("a\n", "a\nb\n", False),
        ("a\n…\nd\n", "a\nb\nc\nd\n", True),
        ("a\n…\nd\n", "a\nd\n", True),
        ("a\n…\nd\n", "a\nb\nc\n", False),
        ("Dice 0.9… (…)\n", "Dice 0.93 (of 3)\n", True),
        ("Dice 0.9…\n", "Dice 0.93\nand more\n", False),
        ("2.5 × 13 mm (…)\n", "2x5 × 13 mm (so)\n", False),
    ],
)
def test_an_ellipsis_stands_for_anything_and_nothing_else_does(written: str, printed: str, same: bool) -> None:
    assert DOCS["agree"](written, printed) == same


def test_lines_of_progress_are_left_out_as_a_quick_machine_prints_none(tmp_path: Path) -> None:
    """The very lines that the program prints, not what they looked like once."""
    program = (
        "import sammix.log as log; log.PLAIN_INTERVAL = -1; log.show_on_terminal(); "
        "[log.say(f'slice {i}') for i in log.track(range(3), 'frozen stages')]"
    )
    assert DOCS["run"](f'python -c "{program}"', tmp_path) == "slice 0\nslice 1\nslice 2\n"


def test_a_page_is_renewed_by_what_its_commands_print_now() -> None:
    page = "Say:\n\n```sh\necho one\necho two\n```\n\n```console\none\n```\n\nThen:\n\n```sh\nignored\n```\n"
    assert DOCS["renewed"](page, None) == page.replace("```console\none\n", "```console\none\ntwo\n")
    kept = page.replace("```console\none\n", "```console\n…\ntwo\n")
    assert DOCS["renewed"](kept, None) == kept


@pytest.mark.parametrize(
    ("kind", "environment"),
    [
        ("sh", {"SLURM_ARRAY_TASK_ID": "3", "SLURM_ARRAY_TASK_COUNT": "16"}),
        ("yaml", {"JOB_COMPLETION_INDEX": "2"}),
    ],
)
def test_the_scripts_for_batch_systems_ask_for_the_shard_that_is_meant(
    kind: str, environment: dict[str, str], tmp_path: Path
) -> None:
    """As far as it can be tried without them: their shell, with a program in sammix' place that prints its words."""
    page = (ROOT / "docs" / "scale.md").read_text(encoding="utf-8")
    script = next(block for found, block in re.findall(r"^```(\w+)\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
                  if found == kind and "--shard" in block)  # fmt: skip
    if kind == "yaml":
        job = yaml.safe_load(script)["spec"]
        assert job["completionMode"] == "Indexed"
        (container,) = job["template"]["spec"]["containers"]
        command, shards = [*container["command"], *container["args"]], job["completions"]
    else:
        command, shards = ["bash", "-c", script], int(re.findall(r"--array=1-(\d+)", script)[0])
    for name, line in (("srun", 'exec "$@"'), ("sammix", 'echo "$@"')):
        (tmp_path / name).write_text(f"#!/bin/sh\n{line}\n")
        (tmp_path / name).chmod(0o755)
    path = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run(command, env={**environment, **path}, capture_output=True, text=True, check=True)
    assert done.stdout.split()[:2] == ["predict", "liver-ct-lite"]
    assert done.stdout.split()[-2:] == ["--shard", f"3/{shards}"]
