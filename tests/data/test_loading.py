from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from sammix.config import load_preset
from sammix.data.loading import label_rules, load_table, open_data, rules_of_model
from sammix.data.preparing import prepare
from sammix.data.table import COLUMNS, SliceTable
from sammix.errors import ConfigError, InputError, OutputError
from sammix.io import Dataset
from sammix.io.label_rules import LabelRules

SMALL = load_preset("tiny").data


def test_a_store_holds_what_the_scans_hold(hospital_a: Path, tmp_path: Path) -> None:
    count = prepare(hospital_a, tmp_path / "a.h5", SMALL)
    stored, direct = load_table(tmp_path / "a.h5", SMALL), load_table(hospital_a, SMALL)
    assert len(stored) == count == len(direct) == 6 * 12
    np.testing.assert_array_equal(stored.images[:], direct.images)
    np.testing.assert_array_equal(stored.masks[:], direct.masks)
    for name in COLUMNS:
        np.testing.assert_array_equal(getattr(stored, name), getattr(direct, name))
    assert (stored.fingerprint, stored.middle_fraction) == (direct.fingerprint, 1.0)
    assert len(set(stored.digest)) == 6
    assert stored.sha256() == direct.sha256()


def test_labels_are_the_maximum_of_the_mask(hospital_a: Path) -> None:
    table = load_table(hospital_a, load_preset("tiny", ["data.size=72"]).data)
    np.testing.assert_array_equal(table.label, table.masks.reshape(len(table), -1).max(axis=1))


def test_the_middle_of_a_scan(hospital_a: Path) -> None:
    table = load_table(hospital_a, load_preset("tiny", ["data.middle_fraction=0.3"]).data)
    assert sorted(set(table.index)) == [4, 5, 6, 7]


@pytest.mark.parametrize("share", [0.75, 0.3, 0.01])
def test_a_store_gives_the_share_that_is_asked_for(hospital_a: Path, tmp_path: Path, share: float) -> None:
    for held in (1.0, 0.75):
        prepare(hospital_a, tmp_path / f"{held}.h5", SMALL.model_copy(update={"middle_fraction": held}))
        asked = SMALL.model_copy(update={"middle_fraction": share})
        stored, direct = load_table(tmp_path / f"{held}.h5", asked), load_table(hospital_a, asked)
        for name in COLUMNS:
            np.testing.assert_array_equal(getattr(stored, name), getattr(direct, name))
        np.testing.assert_array_equal(stored.images[:], direct.images[:])
        assert (stored.sha256(), stored.middle_fraction) == (direct.sha256(), share)


def test_a_store_that_holds_less_than_is_asked_for_is_refused(hospital_a: Path, tmp_path: Path) -> None:
    prepare(hospital_a, tmp_path / "a.h5", SMALL.model_copy(update={"middle_fraction": 0.3}))
    with pytest.raises(InputError, match=r"holds the middle 0\.3 of each scan's slices, not 1 .*middle_fraction=0\.3"):
        load_table(tmp_path / "a.h5", SMALL)


def test_a_store_of_another_organ_is_refused(hospital_a: Path, tmp_path: Path) -> None:
    prepare(hospital_a, tmp_path / "a.h5", SMALL)
    with pytest.raises(InputError, match="was prepared for the liver, not for the spleen"):
        load_table(tmp_path / "a.h5", SMALL.model_copy(update={"organ": "spleen"}))
    assert load_table(tmp_path / "a.h5", SMALL.model_copy(update={"organ": "liver"})).organ == "liver"


def test_a_store_prepared_otherwise_is_refused(hospital_a: Path, tmp_path: Path) -> None:
    prepare(hospital_a, tmp_path / "a.h5", SMALL)
    with pytest.raises(InputError, match="prepare it again"):
        load_table(tmp_path / "a.h5", load_preset("tiny", ["data.window_width=100"]).data)


def test_a_store_is_not_overwritten_unasked(hospital_a: Path, tmp_path: Path) -> None:
    prepare(hospital_a, tmp_path / "a.h5", SMALL)
    with pytest.raises(OutputError, match="exists already"):
        prepare(hospital_a, tmp_path / "a.h5", SMALL)


@pytest.mark.parametrize("content", [b"", b"not HDF5", None])
def test_a_damaged_store_is_named(hospital_a: Path, tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "a.h5"
    if content is None:
        prepare(hospital_a, path, SMALL)
        content = path.read_bytes()[:3000]
    path.write_bytes(content)
    with pytest.raises(InputError, match="cannot be read as a store"):
        load_table(path, SMALL)


def test_a_broken_case_is_left_out(hospital_a: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for path in hospital_a.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "volume-0.nii").write_bytes(b"broken")
    table = load_table(tmp_path, SMALL)
    assert len(table) == 5 * 12
    assert "volume-0.nii" in caplog.text


def test_scans_are_opened_as_they_are_and_stores_too(hospital_a: Path, tmp_path: Path) -> None:
    prepare(hospital_a, tmp_path / "a.h5", SMALL)
    scans, store = open_data(hospital_a), open_data(tmp_path / "a.h5", "spleen")
    assert isinstance(scans, Dataset)
    assert isinstance(store, SliceTable)
    assert (len(scans.cases), len(store), store.organ) == (6, 72, "liver")
    with pytest.raises(InputError, match="no-data"):
        open_data(tmp_path / "no-data")


def test_settings_become_the_rules_that_data_is_read_under(hospital_a: Path) -> None:
    config = load_preset("tiny", ["data.label=liver", "data.ignore=[2,255]", "data.undrawn=no"]).data
    assert label_rules(config) == LabelRules(("liver",), (2, 255), "no")
    assert label_rules(SMALL) == LabelRules()
    data = open_data(hospital_a, None, SMALL.model_copy(update={"patient_from": r"-(\d)", "undrawn": "no"}))
    assert isinstance(data, Dataset)
    assert {case.patient for case in data.cases} == set("012345")
    assert {case.undrawn for case in data.cases} == {"no"}
    with pytest.raises(InputError, match=r"volume-0\.nii: “x\(\.\)” finds no patient"):
        load_table(hospital_a, SMALL.model_copy(update={"patient_from": "x(.)"}))


def test_a_store_remembers_its_rules_and_is_asked_for_no_others(hospital_a: Path, tmp_path: Path) -> None:
    config = SMALL.model_copy(update={"undrawn": "no", "label": (1, 2), "patient_from": r"-(\d)"})
    prepare(hospital_a, tmp_path / "a.h5", config)
    for asked in (SMALL, config):
        table = load_table(tmp_path / "a.h5", asked)
        assert table.rules == LabelRules((1, 2), (), "no", r"-(\d)")
        assert set(table.patient) == set("012345")
    for name, value in {"undrawn": "unknown", "label": 2, "ignore": 7, "patient_from": "(.)"}.items():
        other, problem = (
            SMALL.model_copy(update={name: value}),
            rf"was prepared with data\.{name}=.*leave that setting out",
        )
        with pytest.raises(InputError, match=problem):
            load_table(tmp_path / "a.h5", other)
        with pytest.raises(InputError, match=problem):
            open_data(tmp_path / "a.h5", "liver", other)


def test_a_model_is_put_to_data_under_its_own_rules_but_a_store_keeps_its(hospital_a: Path, tmp_path: Path) -> None:
    own = SMALL.model_copy(update={"undrawn": "no", "label": 2})
    assert rules_of_model(hospital_a, own) == own
    assert rules_of_model(hospital_a, own, ["data.label=null"]) == own.model_copy(update={"label": None})
    assert rules_of_model(hospital_a, own, {"data.undrawn": "unknown"}).undrawn == "unknown"
    prepare(hospital_a, tmp_path / "a.h5", SMALL)
    assert rules_of_model(tmp_path / "a.h5", own) == SMALL
    with pytest.raises(ConfigError, match=r"data\.size is the model's own; what can be set here: data\.label"):
        rules_of_model(hospital_a, own, ["data.size=32"])


def test_a_warning_of_many_slices_is_said_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A folder of pictures holds a case a slice: hundreds of lines that say the same would hide all others."""
    for folder in ("images", "masks"):
        (tmp_path / folder).mkdir()
    for name in range(5):
        Image.fromarray(np.full((40, 40), 90 + name, np.uint8)).save(tmp_path / "images" / f"p{name}.png")
        Image.fromarray(np.eye(40, dtype=np.uint8) * 255).save(tmp_path / "masks" / f"p{name}.png")
    assert len(load_table(tmp_path, SMALL)) == 5
    lines = [record.getMessage() for record in caplog.records if "no HU range is given" in record.getMessage()]
    assert lines == ["5 cases: no HU range is given; black to white is taken as -160 to 240 HU (first: p0)"]


def test_what_is_doubtful_is_said_in_one_line_of_all_cases(hospital_a: Path, tmp_path: Path, caplog) -> None:
    for path in hospital_a.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
        if path.name.startswith("seg"):
            image = nib.load(path)
            mask = np.array(image.dataobj)
            mask[..., ::2] = 0
            nib.save(nib.Nifti1Image(mask, image.affine), tmp_path / path.name)
    table = load_table(tmp_path, SMALL)
    assert not (table.label == 0).any(), "nobody said no"
    assert not table.has_mask[table.label == -1].any()
    lines = [record.getMessage() for record in caplog.records]
    (line,) = [line for line in lines if "data.undrawn=no" in line]
    assert line.startswith(f"{(table.label == -1).sum()} slices of 6 cases (volume-0, ")
    sure = load_table(tmp_path, SMALL.model_copy(update={"undrawn": "no"}))
    np.testing.assert_array_equal(sure.label, np.where(table.label == 1, 1, 0))
    assert sure.fingerprint != table.fingerprint
