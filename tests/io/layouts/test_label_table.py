from __future__ import annotations

import os

import pytest

from sammix.errors import InputError
from sammix.io.layouts.label_table import MOST, find_label_table

EXPECTED = {"spleen": (1,), "liver": (6,)}

ITK_SNAP = """################################################
# ITK-SnAP Label Description File
# IDX   -R-  -G-  -B-  -A--  VIS MSH  LABEL
################################################
    0     0    0    0        0  0  0    "Clear Label"
    1   255    0    0        1  1  1    "Spleen"
    6     0  255    0        1  1  1    "Liver"
"""

TABLES = {
    "header": ("labels.csv", "name,label\nspleen,1\nLiver,6\n"),
    "number first": ("labels.csv", "label,name\n0,background\n1,spleen\n6,liver\n"),
    "label is the name": ("labels.csv", "label,value\nspleen,1\nliver,6\n"),
    "no header": ("labels.csv", "1,spleen\n6,liver\n"),
    "no header, name first": ("Labels.CSV", "spleen,1\nliver,6\n"),
    "semicolons and a byte-order mark": (
        "labels.csv",
        "\ufeffid;name;r;g;b\r\n1;spleen;9;9;9\r\n6;liver;1;1;1\r\n;;;;\r\n",
    ),
    "JSON": ("labels.json", '{"background": 0, "spleen": 1, "liver": 6}'),
    "JSON by number": ("labels.json", '{"labels": {"1": "spleen", "6": "liver"}}'),
    "ITK-SNAP": ("labels.txt", ITK_SNAP),
    "lines": ("labels.txt", "0 background\n1 spleen\n6 liver\n"),
    "lines with colons": ("labels.txt", "spleen: 1\nliver: 6"),
    "colour table": (
        "labels.txt",
        "# Slicer\n0 Background 0 0 0 0\n1 spleen 157 108 162 255\n6 liver 221 130 101 255\n",
    ),
    "YAML": ("dataset.yaml", "organ: liver\nlabels:\n  spleen: 1\n  liver: 6\n"),
}


@pytest.mark.parametrize("kind", TABLES)
def test_a_table_in_whatever_form(tmp_path, kind):
    name, text = TABLES[kind]
    (tmp_path / name).write_text(text, encoding="utf-8")
    assert find_label_table(tmp_path) == (tmp_path / name, EXPECTED)


def test_names_with_spaces_and_several_numbers(tmp_path):
    (tmp_path / "labels.txt").write_text("2 right kidney 9 9 9 255\n3 right kidney 8 8 8 255\n")
    assert find_label_table(tmp_path) == (tmp_path / "labels.txt", {"right kidney": (2, 3)})


@pytest.mark.parametrize("name", ["none", "dataset.yaml"])
def test_no_table(tmp_path, name):
    (tmp_path / name).write_text("organ: liver")
    assert find_label_table(tmp_path) is None


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("labels.csv", b"organ,colour\nliver,red\n"),
        ("labels.csv", b"name,label\nliver,red\n"),
        ("labels.csv", b"6,\n"),
        ("labels.csv", b"\xff\xfe6\x00"),
        ("labels.csv", b""),
        ("labels.json", b"{"),
        ("labels.json", b'{"liver": "six"}'),
        ("labels.json", b"3"),
        ("labels.json", b"[" * 100_000),
        ("labels.txt", b"the liver"),
        ("dataset.yaml", b"labels: [1"),
        ("dataset.yaml", b"labels: 7"),
    ],
)
def test_what_is_no_table_of_labels_is_named(tmp_path, name, text):
    (tmp_path / name).write_bytes(text)
    with pytest.raises(InputError, match=name):
        find_label_table(tmp_path)


def test_a_table_of_gigabytes_is_not_read(tmp_path):
    (tmp_path / "labels.txt").touch()
    os.truncate(tmp_path / "labels.txt", MOST + 1)
    with pytest.raises(InputError, match="has more than"):
        find_label_table(tmp_path)


def test_a_number_of_a_mile_is_none(tmp_path):
    (tmp_path / "labels.csv").write_text(f"number,name\n{'1' * 5000},liver\n")
    with pytest.raises(InputError, match="which are no number and name"):
        find_label_table(tmp_path)
