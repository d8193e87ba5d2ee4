from __future__ import annotations

import pickle
import subprocess
import sys

import numpy as np
from hypothesis import given
from hypothesis import strategies as some
from hypothesis.extra.numpy import arrays

from sammix.label.segmented import Segmented


@given(arrays(np.uint8, some.tuples(*[some.integers(1, 5)] * 3), elements=some.integers(0, 1)))
def test_a_mask_comes_back_from_another_process_as_it_was(mask: np.ndarray) -> None:
    found = pickle.loads(pickle.dumps(Segmented.of(mask, "model-1")))
    np.testing.assert_array_equal(found.mask, mask)


def test_the_server_needs_no_torch_for_it() -> None:
    program = "import sys, sammix.label.segmented, sammix.label.slicer_routes; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True)
