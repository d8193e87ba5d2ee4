from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sammix.evaluation.results import rescale_boxes, run_network
from sammix.evaluation.stacks import EvaluationStack


def stack(count: int, truths: int) -> EvaluationStack:
    """Slices of which the first ``truths`` have a true mask."""
    masks = np.zeros((count, 256, 256), np.uint8)
    masks[:truths, 20:60, 20:60] = 1
    return EvaluationStack(
        "case", "patient", "source",
        images=np.full((count, 256, 256), 0.6, np.float32),
        masks=masks,
        has_mask=np.arange(count) < truths,
        labels=np.full(count, -1, np.int8),
        index=np.arange(count, dtype=np.int32),
    )  # fmt: skip


def test_results_come_in_the_slices_order_over_stacks(hu_segmenter) -> None:
    stacks = [stack(2, 1), stack(3, 0)]
    found = list(run_network(hu_segmenter(), stacks, 4))
    assert [(result.stack is stacks[0], result.position) for result in found] == [
        (True, 0), (True, 1), (False, 0), (False, 1), (False, 2),
    ]  # fmt: skip


def test_other_prompts_are_tried_where_there_is_truth_to_compare_with(hu_segmenter) -> None:
    one, other = run_network(hu_segmenter(), [stack(2, 1)], 2)
    assert one.oracle_box is not None
    assert one.no_prompt is not None
    assert (other.oracle_box, other.no_prompt) == (None, None)


@given(st.integers(0, 200), st.integers(0, 55), st.sampled_from([64, 128, 512]))
def test_boxes_cover_the_same_area_on_another_grid(left: int, width: int, side: int) -> None:
    box = np.array([left, left, left + width, left + width], np.float32)
    scaled = rescale_boxes(box, 256, side)
    assert scaled[2] + 1 - scaled[0] == np.float32((width + 1) * side / 256)
    np.testing.assert_allclose(rescale_boxes(scaled, side, 256), box, atol=1e-3)
