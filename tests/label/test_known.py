from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from sammix.data.splits import VAL, split_by_patient
from sammix.label.collection import open_collection
from sammix.label.gestures import Answer
from sammix.label.known import HELD_OUT_SHARE, as_known, held_out_patients, left_out
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


def test_the_patients_held_out_are_those_of_the_fit_or_of_the_data(service: Service, tmp_path: Path) -> None:
    patients = np.array([case.patient for case in service.collection.dataset.cases])
    expected = patients[split_by_patient(patients, HELD_OUT_SHARE, 0.0, 0) == VAL].tolist()
    assert held_out_patients(service.collection) == frozenset(expected)
    Image.new("L", (32, 32)).save(tmp_path / "a.png")
    Image.new("L", (32, 32), 9).save(tmp_path / "b.png")
    lines = ["image,patient,split,liver", "a.png,p1,train,1", "b.png,p2,test,0"]
    (tmp_path / "slices.csv").write_text("\n".join(lines), encoding="utf-8")
    assert held_out_patients(open_collection(tmp_path, None)) == {"p2"}
