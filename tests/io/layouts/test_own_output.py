from __future__ import annotations

import json

import pytest

from sammix.io.layouts.own_output import own_output


def test_what_predict_left(tmp_path):
    entry = {"name": "a", "input": str(tmp_path / "a.nii.gz"), "mask": "a_liver.nii.gz", "preview": "a_preview.png"}
    failed = {"name": "b", "input": "/elsewhere/b.nii.gz", "status": "failed"}
    (tmp_path / "manifest.json").write_text(json.dumps({"sammix": "1.0", "scans": [entry, failed]}))
    own = own_output(tmp_path)
    assert own is not None
    assert (own.files, own.has_inputs) == ({"a_liver.nii.gz", "a_preview.png"}, True)
    (tmp_path / "manifest.json").write_text(json.dumps({"sammix": "1.0", "scans": [failed]}))
    own = own_output(tmp_path)
    assert own is not None
    assert not own.has_inputs


@pytest.mark.parametrize("text", ["{", "[]", "3", '{"scans": []}', '{"sammix": "1", "scans": [3]}', "[" * 100_000])
def test_manifests_of_other_programs(tmp_path, text):
    (tmp_path / "manifest.json").write_text(text)
    assert own_output(tmp_path) is None
    assert own_output(tmp_path / "gone") is None
