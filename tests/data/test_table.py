from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sammix.data.preprocess import Preprocess
from sammix.data.scan_slices import SliceStack, middle
from sammix.data.table import COLUMNS, SliceTable, columns
from sammix.io.dataset import Case

MakeTable = Callable[..., SliceTable]


def stack(name: str, n: int = 3) -> SliceStack:
    return SliceStack(
        case=Case(name, Path(name), None, f"{name}-patient", "there", split="val" if name == "a" else None),
        images=np.zeros((n, 16, 16), np.float32),
        masks=np.zeros((n, 16, 16), np.uint8),
        labels=np.arange(n, dtype=np.int8) - 1,
        has_mask=np.arange(n) == 1,
        index=np.arange(n, dtype=np.int32),
        scan_length=n,
        middle_fraction=1.0,
        digest=name * 32,
    )


def scans(make_table: MakeTable, lengths: tuple[int, ...], **known: object) -> SliceTable:
    """A table of whole scans of so many slices each."""
    return make_table(
        [1] * sum(lengths),
        case=np.repeat([f"c{i}" for i in range(len(lengths))], lengths),
        index=np.concatenate([np.arange(n) for n in lengths]),
        scan_length=np.repeat(lengths, lengths),
        **known,
    )


def test_columns_have_a_row_for_each_slice() -> None:
    found = columns([stack("a"), stack("bb", 2)])
    assert tuple(found) == COLUMNS
    assert {name: values.tolist() for name, values in found.items()} == {
        "case": ["a", "a", "a", "bb", "bb"],
        "patient": ["a-patient"] * 3 + ["bb-patient"] * 2,
        "source": ["there"] * 5,
        "split": ["val"] * 3 + [""] * 2,
        "digest": ["a" * 32] * 3 + ["bb" * 32] * 2,
        "index": [0, 1, 2, 0, 1],
        "scan_length": [3, 3, 3, 2, 2],
        "label": [-1, 0, 1, -1, 0],
        "has_mask": [False, True, False, False, True],
    }


def test_rows_of_a_split_have_a_known_label(make_table: MakeTable) -> None:
    table = make_table([1, 0, -1, 1], split=["train", "val", "train", "train"])
    assert table.rows("train").tolist() == [0, 3]


def test_annotated_slices_show_the_organ_and_have_a_mask(make_table: MakeTable) -> None:
    table = make_table([1, 1, 0, -1], has_mask=[True, False, True, False])
    assert table.annotated.tolist() == [True, False, False, False]


def test_a_narrowed_table_holds_the_middle_of_each_scan(make_table: MakeTable) -> None:
    table = scans(make_table, (10, 1, 4, 7))
    found = table.narrowed(0.3)
    expected = [(f"c{i}", k) for i, n in enumerate((10, 1, 4, 7)) for k in range(n)[middle(n, 0.3)]]
    assert list(zip(found.case.tolist(), found.index.tolist(), strict=True)) == expected
    assert (found.middle_fraction, len(found)) == (0.3, len(expected))
    rows = found.images[:][:, 0, 0].astype(int)  # make_table writes each row's number into its image
    assert [(table.case[row], table.index[row]) for row in rows] == expected
    np.testing.assert_array_equal(found.images[1:3], found.images[np.array([1, 2])])
    assert found.images[np.int64(2)].shape == (16, 16)
    assert (len(found.images), found.images.shape, found.images.dtype) == (len(rows), (len(rows), 16, 16), np.float16)


def test_a_table_narrowed_twice_is_as_if_narrowed_once(make_table: MakeTable) -> None:
    table = scans(make_table, (10, 9))
    assert table.narrowed(0.5).narrowed(0.2).sha256() == table.narrowed(0.2).sha256() != table.sha256()
    assert table.narrowed(1.0) is table
    with pytest.raises(ValueError, match=r"holds 0\.5 of each scan, not 0\.6"):
        table.narrowed(0.5).narrowed(0.6)


@pytest.mark.parametrize("column", ["images", "masks", "preprocess", *COLUMNS])
def test_the_checksum_of_a_table_tells_any_change(make_table: MakeTable, column: str) -> None:
    table = make_table([1, 0, -1], split=["train", "val", "test"])
    if column == "preprocess":
        changed = Preprocess(size=16, window_level=41.0)
    else:
        changed = getattr(table, column).copy()
        changed[-1] = "x" if changed.dtype.kind == "U" else 1 - changed[-1]
    assert replace(table, **{column: changed}).sha256() != table.sha256()
    assert replace(table, **{column: getattr(table, column)}).sha256() == table.sha256()


def test_the_checksum_of_images_sees_nothing_else(make_table: MakeTable) -> None:
    table = make_table([1, 0, 1])
    assert replace(table, masks=1 - table.masks).images_sha256() == table.images_sha256()
    assert replace(table, images=table.images + 1).images_sha256() != table.images_sha256()
