from __future__ import annotations

import pickle
from pathlib import Path

from sammix.label.means import Means


def test_they_pass_to_another_process_and_say_where_things_lie() -> None:
    means = Means(Path("study"), "liver", Path("study-labels"))
    assert pickle.loads(pickle.dumps(means)) == means
    assert means.places.slices == Path("study-labels/cache/slices.h5")
