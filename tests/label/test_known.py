from __future__ import annotations

import numpy as np

from sammix.label.gestures import Answer
from sammix.label.known import as_known, left_out
from sammix.label.service import Service


def test_what_nobody_said_is_not_known_and_a_no_has_an_empty_mask(service: Service, disc: np.ndarray) -> None:
    service.say("ada", 0, 1, 0)
    service.say("ada", 0, 2, 1)
    service.say("ada", 0, 3, -1)
    service.draw("ada", 0, 4, disc)
    (scan,) = as_known(service, 0)
    assert scan.labels.tolist()[:6] == [-1, 0, 1, -1, 1, -1]
    assert scan.has_mask.tolist()[:6] == [False, True, False, False, True, False]
    assert scan.truth is not None
    np.testing.assert_array_equal(scan.truth[4], disc)
    assert scan.truth.sum() == disc.sum()


def test_masks_that_a_model_drew_alone_can_be_left_out(service: Service, disc: np.ndarray) -> None:
    service.draw("ada", 0, 4, disc, basis=service.issue(disc, "accepted", "model-1"))
    for own_only in (False, True):
        (scan,) = as_known(service, 0, own_only)
        assert scan.labels[4] == 1
        assert bool(scan.has_mask[4]) is not own_only
    assert not left_out(Answer(1, "key", "m", "corrected", "model-1"), own_only=True)
