"""What was found of a scan's slices, put together."""

from __future__ import annotations

import numpy as np
import pytest

from sammix.data.preprocess import Preprocess
from sammix.inference import scan_assembler
from sammix.inference.assemble import ScanGrid
from sammix.inference.scan_assembler import ScanAssembler
from sammix.inference.slices import SliceFinding
from sammix.inference.tissue import Overruled


def finding(mask: np.ndarray, disagreement: float | None, presence: float = 0.9) -> SliceFinding:
    return SliceFinding(mask.astype(np.float32) * 0.75, mask, presence, disagreement, 0.1, None, None, "cam")


def squares() -> list[np.ndarray]:
    """Three masks of 8 × 8 pixels; the last is empty."""
    plane = np.zeros((16, 16), np.bool_)
    plane[4:12, 4:12] = True
    return [plane, plane, np.zeros_like(plane)]


def test_slices_come_together_as_a_scan(bright_right) -> None:
    class Small(bright_right):
        preprocess = Preprocess(size=16)

    assembler = ScanAssembler(Small(), ScanGrid(3, (32, 32), (5.0, 1.0, 1.0)))
    for mask, doubt in zip(squares(), (0.1, 0.4, 0.9), strict=True):
        assembler.add(finding(mask, doubt))
    found = assembler.finish()
    assert found.mask.shape == (3, 32, 32)
    assert found.mask[:2].any(axis=(1, 2)).all()
    assert not found.mask[2].any()
    np.testing.assert_allclose(found.presence, 0.9)
    np.testing.assert_allclose(found.disagreement, [0.1, 0.4, 0.9])
    assert found.doubtful == [1], "slice 2 is doubted too, but has no mask"
    assert found.confidence == 0.75


def test_a_network_without_a_map_knows_no_doubt_and_an_empty_mask_no_confidence(bright_right) -> None:
    class Small(bright_right):
        preprocess = Preprocess(size=16)

    assembler = ScanAssembler(Small(), ScanGrid(1, (16, 16), (5.0, 1.0, 1.0)))
    assembler.add(finding(squares()[2], None))
    found = assembler.finish()
    assert (found.disagreement, found.doubtful, found.confidence) == (None, None, None)


def test_a_scan_with_slices_missing_is_not_assembled(bright_right) -> None:
    class Small(bright_right):
        preprocess = Preprocess(size=16)

    assembler = ScanAssembler(Small(), ScanGrid(2, (16, 16), (5.0, 1.0, 1.0)))
    assembler.add(finding(squares()[0], None))
    with pytest.raises(ValueError, match="1 of the scan's 2 slices"):
        assembler.finish()


def test_what_the_scans_own_tissue_corrects_is_seen_only_while_it_is_open(bright_right, monkeypatch) -> None:
    class Small(bright_right):
        preprocess = Preprocess(size=16)

    assembler = ScanAssembler(Small(), ScanGrid(3, (32, 32), (5.0, 1.0, 1.0)))
    for mask in squares():
        assembler.add(finding(mask, 0.1))
    region = np.zeros((16, 16), np.bool_)
    region[12:, 4:12] = True
    told, asked = {1: Overruled(region, np.full((16, 16), 0.9, np.float32))}, []
    monkeypatch.setattr(scan_assembler, "overrule", lambda *_: asked.append(1) or told.items())
    before = [assembler.found.marked(index) for index in range(3)]
    with assembler.checked() as found:
        assert np.array_equal(found.marked(1), before[1] | region)
        assert np.array_equal(found.marked(0), before[0])
    assert np.array_equal([assembler.found.marked(index) for index in range(3)], before)
    assert assembler.finish().decision.corrected == [1]
    assert len(asked) == 1, "nothing was added in between"
    assembler.add(finding(squares()[0], 0.1), 2)
    with assembler.checked():
        assert len(asked) == 2
