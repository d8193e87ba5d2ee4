from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from sammix.data.preprocess import Preprocess
from sammix.data.scan_slices import read_slices
from sammix.data.slice_labels import Doubt
from sammix.data.table import SliceTable
from sammix.evaluation.stacks import EvaluationStack, rows_by_case, stack_of_scan, table_stack
from sammix.io.dataset import Case
from sammix.io.presence import Presence
from sammix.io.volume import Volume


class DrawnCase(Case):
    """A case whose scan is made here: 10 axial slices of 40 × 40, the organ in the upper five; with a label, one."""

    def read(self) -> Volume:
        count = 10 if self.label is None else 1
        return Volume(np.full((count, 40, 40), 40, np.int16), AXIAL, trusted_geometry=self.source == "trusted")

    def read_mask(self, volume: Volume) -> Volume | None:
        if self.mask is None:
            return None
        mask = np.zeros(volume.array.shape, np.uint8)
        mask[len(mask) // 2 :, 10:20, 5:25] = 1
        return replace(volume, array=mask, warnings=("the mask was resampled",))


# (slice, row, column) pointing up, back and left, in RAS+
AXIAL = np.array([[0, 0, -0.7, 0], [0, -0.7, 0, 0], [3.0, 0, 0, 0], [0, 0, 0, 1]])


def case(mask: bool = True, label: int | None = None, trusted: bool = True) -> Case:
    source = "trusted" if trusted else "picture"
    return DrawnCase("c", Path("c"), Path("m") if mask else None, "p", source, label=label, undrawn="no")


def read_stack(case: Case, preprocess: Preprocess, middle_fraction: float = 1.0) -> EvaluationStack:
    return stack_of_scan(case, read_slices(case), preprocess, middle_fraction)


def test_a_scan_with_trusted_geometry_is_kept_whole_for_millimetres() -> None:
    found = read_stack(case(), Preprocess(size=64), middle_fraction=0.4)
    assert found.images.shape == (10, 64, 64)
    assert found.masks.shape == (10, 256, 256)
    assert [i for i in range(10) if found.counts(i)] == [3, 4, 5, 6]
    assert found.labels.tolist() == [0] * 5 + [1] * 5
    assert found.scan is not None
    assert found.scan.truth.shape == (10, 40, 40)
    assert found.scan.spacing == pytest.approx((3, 0.7, 0.7))
    assert found.warnings == ("the mask was resampled",)


@pytest.mark.parametrize("known", [{"trusted": False}, {"mask": False}])
def test_what_is_not_measured_in_mm_is_cut_to_its_middle(known: dict[str, Any]) -> None:
    found = read_stack(case(**known), Preprocess(), middle_fraction=0.4)
    assert found.scan is None
    assert found.index.tolist() == [3, 4, 5, 6]
    assert all(found.counts(i) for i in range(4))


def test_the_truth_keeps_its_place_on_the_protocols_grid() -> None:
    found = read_stack(case(), Preprocess(size=64))
    rows, columns = np.nonzero(found.masks[7])
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (64, 127, 32, 159)


def test_a_given_label_wins_and_without_any_it_is_unknown() -> None:
    assert set(read_stack(case(label=1), Preprocess()).labels.tolist()) == {1}
    assert set(read_stack(case(mask=False, label=0), Preprocess()).labels.tolist()) == {0}
    assert set(read_stack(case(mask=False), Preprocess()).labels.tolist()) == {-1}
    assert not read_stack(case(mask=False), Preprocess()).has_mask.any()


def table(cases: list[str]) -> SliceTable:
    n = len(cases)

    def text(value: str) -> NDArray[np.str_]:
        return np.full(n, value)

    return SliceTable(
        images=np.arange(n, dtype=np.float16)[:, None, None] * np.ones((1, 16, 16), np.float16),
        masks=np.ones((n, 16, 16), np.uint8), case=np.array(cases), patient=text("p"), source=text("s"),
        split=text("test"), index=np.arange(n, dtype=np.int32), label=np.ones(n, np.int8),
        has_mask=np.ones(n, bool), digest=text("d"), scan_length=np.full(n, n, np.int32), middle_fraction=1.0,
        preprocess=Preprocess(size=16), name="n", organ="liver", fingerprint="f",
    )  # fmt: skip


def test_rows_of_a_store_are_grouped_by_case_in_ascending_order() -> None:
    """HDF5 takes rows in ascending order only."""
    mixed = table(["b", "a", "b", "a", "c"])
    groups = rows_by_case(mixed, np.array([4, 3, 2, 1, 0]))
    assert [group.tolist() for group in groups] == [[1, 3], [0, 2], [4]]
    assert rows_by_case(mixed, np.array([], np.int64)) == []


def test_a_stack_of_a_store_holds_its_rows() -> None:
    found = table_stack(table(["b", "a", "b"]), np.array([0, 2]))
    assert (found.case, found.index.tolist(), found.images[:, 0, 0].tolist()) == ("b", [0, 2], [0.0, 2.0])
    assert found.masks.shape == (2, 256, 256)
    assert found.masks.all()
    assert found.scan is None


def test_a_mask_that_contradicts_its_label_is_not_used() -> None:
    found = read_stack(case(label=0), Preprocess())
    assert not found.has_mask.any()
    assert not found.masks.any()
    assert [doubt.what for doubt in found.doubts] == [Doubt.SHOWN]


def test_a_scan_whose_slices_are_not_all_known_has_no_figures_in_mm_and_says_so() -> None:
    found = read_stack(replace(case(), presence=Presence(slices=((0, -1), (1, -1)))), Preprocess(size=64))
    assert found.scan is None
    assert found.labels.tolist() == [-1] * 2 + [0] * 3 + [1] * 5
    assert [(doubt.what, doubt.slices) for doubt in found.doubts] == [(Doubt.PARTLY, 2)]
    assert not read_stack(case(mask=False), Preprocess()).doubts


def test_a_slice_of_a_store_whose_mask_vanishes_on_the_protocols_grid_has_no_known_mask() -> None:
    masks = np.zeros((2, 1024, 1024), np.uint8)
    masks[0, 0, 0], masks[1, :512] = 1, 1
    large = replace(
        table(["a", "a"]), images=np.zeros((2, 1024, 1024), np.float16), masks=masks, preprocess=Preprocess(size=1024)
    )
    found = table_stack(large, np.array([0, 1]))
    assert found.has_mask.tolist() == [False, True]
    assert "1 slices has no pixel left" in found.warnings[0]
