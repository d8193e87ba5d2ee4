from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np

from sammix.data.store import open_store
from sammix.label.learning_data import MOST_QUICK, prepare, thinned, write_learning_store
from sammix.label.means import Means
from sammix.label.service import Service


def means_of(service: Service) -> Means:
    return Means(service.collection.dataset.root, "liver", service.project.folder)


def test_scans_are_prepared_once_and_images_stay_the_same(service: Service, disc: np.ndarray) -> None:
    seen: list[tuple[int, int]] = []
    project, means = service.project, means_of(service)
    for _ in range(2):
        base = prepare(means, 64, lambda n, of: seen.append((n, of)))
    assert seen == [(0, 3), (1, 3), (2, 3)]
    images = open_store(base).images_sha256()
    for number in range(2):
        service.draw("ada", number, 5, disc)
        write_learning_store(base.with_name("fit.h5"), project.places, quick=True, own_only=False)
        table = open_store(base.with_name("fit.h5"))
        assert table.images_sha256() == images  # so that cached features serve every fit
        assert int(table.annotated.sum()) == number + 1


def test_a_scan_that_was_sent_since_is_prepared_too(service: Service, scans: Path) -> None:
    places, means = service.project.places, means_of(service)
    base = prepare(means, 64, lambda n, of: None)
    places.scans.mkdir()
    shutil.copy(scans / "volume-0.nii", places.scans / "own.nii")
    assert prepare(means, 64, lambda n, of: None) == base
    assert open_store(base).case.tolist()[-12:] == ["own"] * 12
    places.spacing.unlink()  # killed between the two files
    prepare(means, 64, lambda n, of: None)
    assert places.spacing.is_file()


def test_a_quick_pass_takes_every_drawing_and_a_spread_of_the_rest() -> None:
    labels = np.array([1, 0, -1] * 500, np.int8)
    has_mask = np.zeros(1500, np.bool_)
    has_mask[[0, 3, 1497]] = True
    thin = thinned(labels, has_mask)
    assert (thin[[0, 3, 1497]] == 1).all()
    assert int((thin == 1).sum()) == MOST_QUICK // 2 + 3
    assert int((thin == 0).sum()) == MOST_QUICK // 2
    assert np.flatnonzero(thin == 0).max() > 1400
    few = np.array([1, 0, -1], np.int8)
    np.testing.assert_array_equal(thinned(few, np.zeros(3, np.bool_)), few)
