from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sammix.data.store import open_store
from sammix.io.label_rules import LabelRules


def test_a_store_is_made_once(hospital_a: Path, tmp_path: Path, run, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["prepare", hospital_a, "--out", tmp_path / "a.h5", "--preset", "tiny"]
    assert run(*command) == 0
    count = len(open_store(tmp_path / "a.h5"))
    assert capsys.readouterr().out == f"{count} slices in {tmp_path / 'a.h5'}\n"
    assert run(*command) == 2
    assert "--overwrite" in capsys.readouterr().err
    assert run(*command, "--overwrite", "--set", "data.middle_fraction=0.5") == 0
    assert len(open_store(tmp_path / "a.h5")) < count


def test_a_store_is_prepared_under_the_users_rules(hospital_a: Path, tmp_path: Path, run, capsys) -> None:
    command = ["prepare", hospital_a, "--out", tmp_path / "a.h5", "--preset", "tiny", "--set", "data.undrawn=no"]
    assert run(*command, "--patient-from", r"-(\d)\.") == 0
    table = open_store(tmp_path / "a.h5")
    assert set(table.patient) == set("012345")
    assert table.rules == LabelRules(undrawn="no", patient_from=r"-(\d)\.")
    assert run(*command, "--overwrite", "--patient-from", "no group") == 2
    assert "setting data.patient_from needs one group" in capsys.readouterr().err


def test_a_table_without_patients_asks_where_they_are(tmp_path: Path, run, capsys) -> None:
    rows = ["image;liver;hu_min;hu_max"]
    for number in range(6):
        Image.fromarray(np.tile(np.arange(32, dtype=np.uint8), (32, 1))).save(tmp_path / f"p{number // 3}_{number}.png")
        rows.append(f"p{number // 3}_{number}.png;{['yes', 'no', ''][number % 3]};-160,5;240")
    (tmp_path / "slices.csv").write_bytes("\r\n".join(rows).encode("utf-16"))
    command = ["prepare", tmp_path, "--out", tmp_path / "a.h5", "--preset", "tiny"]
    assert run(*command) == 2
    told = capsys.readouterr().err
    assert "has no column patient" in told
    pattern = told.partition("--patient-from '")[2].partition("'")[0]
    assert run(*command, "--patient-from", pattern) == 0
    table = open_store(tmp_path / "a.h5")
    assert table.patient.tolist() == ["p0"] * 3 + ["p1"] * 3
    assert table.label.tolist() == [1, 0, -1] * 2
