from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from sammix.errors import InputError, OutputError
from sammix.label.gestures import Answer
from sammix.label.project import LabelProject, folder_for


def test_answers_lie_beside_the_data() -> None:
    assert folder_for(Path("/ct/study")) == Path("/ct/study-labels")
    assert folder_for(Path("/ct/p1.nii.gz")) == Path("/ct/p1-labels")


def test_a_labelling_goes_on_where_it_was(tmp_path: Path) -> None:
    for label in (1, 0):
        with LabelProject.opened(tmp_path / "labels", tmp_path, "liver") as project:
            project.record.add("ada", "answer", {("a", label): Answer(label, "key")})
    with LabelProject.opened(tmp_path / "labels", tmp_path, "liver") as project:
        assert sorted(project.record.current("a")) == [0, 1]


def test_a_second_server_is_told_who_has_it(tmp_path: Path) -> None:
    holder = (
        "import sys, time; from pathlib import Path; from sammix.label.project import LabelProject\n"
        "with LabelProject.opened(Path(sys.argv[1]) / 'labels', Path(sys.argv[1]), 'liver') as project:\n"
        "    project.announce('http://127.0.0.1:9/'); print('ready', flush=True); time.sleep(60)"
    )
    first = subprocess.Popen([sys.executable, "-c", holder, tmp_path], stdout=subprocess.PIPE, text=True)
    assert first.stdout is not None
    first.stdout.readline()
    opened = LabelProject.opened(tmp_path / "labels", tmp_path, "liver")
    with pytest.raises(OutputError, match=rf"in use by process {first.pid} on .* at http://127.0.0.1:9/"):
        opened.__enter__()
    first.kill()
    first.wait()
    with LabelProject.opened(tmp_path / "labels", tmp_path, "liver"):
        pass  # the lock went with the process


def test_other_data_another_organ_and_other_folders_are_refused(tmp_path: Path) -> None:
    folder, other = tmp_path / "labels", tmp_path / "other"
    other.mkdir()
    with LabelProject.opened(folder, tmp_path, "liver"):
        pass
    with pytest.raises(InputError, match="labels the liver, not the spleen"):
        LabelProject.opened(folder, tmp_path, "spleen").__enter__()
    with pytest.raises(InputError, match="name another folder"):
        LabelProject.opened(folder, other, "liver").__enter__()
    (other / "thesis.txt").write_text("mine")
    with pytest.raises(InputError, match=r"holds something else \(thesis.txt\)"):
        LabelProject.opened(other, tmp_path, "liver").__enter__()
    (folder / "project.json").write_text("{")
    with pytest.raises(InputError, match="damaged"):
        LabelProject.opened(folder, tmp_path, "liver").__enter__()


def test_data_that_was_moved_may_go_on(tmp_path: Path) -> None:
    before, after = tmp_path / "before", tmp_path / "after"
    before.mkdir()
    with LabelProject.opened(tmp_path / "labels", before, "liver"):
        pass
    before.rename(after)
    for _ in range(2):
        with LabelProject.opened(tmp_path / "labels", after, "liver"):
            pass
