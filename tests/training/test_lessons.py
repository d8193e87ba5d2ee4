from __future__ import annotations

from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
import torch

from sammix.config import load_preset
from sammix.data.loading import load_table
from sammix.data.sampling import SliceDraw
from sammix.data.table import SliceTable
from sammix.errors import OutputError
from sammix.models.saved import load_model
from sammix.networks.interface import Lesson, Segmenter, SlicePrediction
from sammix.training.batches import Sample
from sammix.training.lessons import Lessons, TaughtSlices, lesson_of

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def table(hospital_a: Path) -> SliceTable:
    return load_table(hospital_a, load_preset("tiny").data)


def forbidden() -> Segmenter:
    raise AssertionError("the teacher was asked again")


def test_a_lesson_is_what_the_teacher_finds(table: SliceTable, tiny_run: Path, tmp_path: Path) -> None:
    lessons = Lessons(table, tmp_path, "digest", partial(load_model, tiny_run, CPU))
    lessons.fill(np.array([2, 5, 7]))
    teacher = load_model(tiny_run, CPU)
    image = torch.from_numpy(np.asarray(table.images[5], np.float32))[None, None]
    found, lesson = lesson_of(teacher.segment(teacher.encode(image))), lessons[5]
    for name, values in vars(found).items():
        torch.testing.assert_close(getattr(lesson, name), values, atol=2e-3, rtol=1e-2)


def test_the_teacher_is_asked_once(table: SliceTable, tiny_run: Path, tmp_path: Path) -> None:
    Lessons(table, tmp_path, "digest", partial(load_model, tiny_run, CPU)).fill(np.array([0, 1]))
    again = Lessons(table, tmp_path, "digest", forbidden)
    again.fill(np.array([1, 0]))
    assert again[1].probability.shape == (1, 64, 64)
    with pytest.raises(AssertionError, match="asked again"):
        Lessons(table, tmp_path, "another", forbidden).fill(np.array([0]))


def test_a_disk_too_small_is_told_with_what_helps(
    table: SliceTable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda folder: SimpleNamespace(free=100))
    with pytest.raises(OutputError, match=r"cache of the teacher takes .* or keep it on another disk \(--cache\)"):
        Lessons(table, tmp_path, "digest", forbidden).fill(np.array([0]))


def test_where_map_and_mask_contradict_each_other_there_is_no_trust() -> None:
    mask = torch.zeros(2, 16, 16)
    mask[:, :8] = 1
    maps = torch.stack([mask[0], 1 - mask[0]])
    found = lesson_of(SlicePrediction(mask, torch.ones(2), maps, None, "cam"))
    assert found.trust.tolist() == pytest.approx([1, 0], abs=1e-2)
    alone = lesson_of(SlicePrediction(mask, torch.ones(2), None, None, "none"))
    assert torch.equal(alone.cam, mask)
    assert alone.trust.tolist() == [1, 1]


def test_lesson_and_mask_move_with_their_slice(table: SliceTable, tiny_run: Path, tmp_path: Path) -> None:
    row = int(np.flatnonzero(table.annotated)[0])
    lessons = Lessons(table, tmp_path, "digest", partial(load_model, tiny_run, CPU))
    lessons.fill(np.array([row]))
    slices = TaughtSlices(table, np.array([row]), lessons, augmented=True)
    plain, moved, again, other = (slices[SliceDraw(row, seed)] for seed in (None, 1, 1, 2))
    assert all(isinstance(sample, Sample) for sample in (plain, moved, again, other))
    assert isinstance(plain, Sample)
    assert plain.lesson is None
    assert moved.lesson is not None
    assert torch.equal(moved.image, again.image)
    assert torch.equal(moved.lesson.probability, again.lesson.probability)
    assert torch.equal(moved.mask, again.mask)
    assert not torch.equal(moved.lesson.probability, other.lesson.probability)
    assert not torch.equal(moved.mask, other.mask)
    still = TaughtSlices(table, np.array([row]), lessons, augmented=False)[SliceDraw(row, 1)]
    assert torch.equal(still.lesson.probability, lessons[row].probability)


def test_slices_are_painted_where_the_organ_was_drawn_or_the_teacher_marks_it(
    table: SliceTable, tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = np.flatnonzero(table.annotated)[:2]
    lessons = Lessons(table, tmp_path, "digest", partial(load_model, tiny_run, CPU))
    lessons.fill(rows)
    painted: list[torch.Tensor] = []

    def brightened(image: torch.Tensor, mask: torch.Tensor, *_: object) -> torch.Tensor:
        painted.append(mask)
        return torch.ones_like(image)

    monkeypatch.setattr("sammix.training.lessons.painted_slice", brightened)
    slices = TaughtSlices(table, rows[:1], lessons, augmented=True, painted=0.5)
    samples = [slices[SliceDraw(int(row), seed)] for row in rows for seed in range(20)]
    assert 10 < len(painted) < 30
    drawn = torch.from_numpy(np.asarray(table.masks[int(rows[0])], np.uint8))
    taught = (lessons[int(rows[1])].probability[0] >= 0.5).to(torch.uint8)
    assert {tuple(mask.flatten().tolist()) for mask in painted} == {
        tuple(m.flatten().tolist()) for m in (drawn, taught)
    }
    bright = [isinstance(sample, Sample) and bool(sample.image.mean() > 0.4) for sample in samples]
    assert len(painted) >= sum(bright) > len(painted) / 2
    painted.clear()
    unpainted = TaughtSlices(table, rows[:1], lessons, augmented=True)
    assert all(isinstance(unpainted[SliceDraw(int(rows[0]), seed)], Sample) for seed in range(5))
    assert not painted


def test_where_a_person_said_no_nothing_is_painted_that_the_teacher_marks(
    table: SliceTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    everywhere = torch.ones(1, table.preprocess.size, table.preprocess.size)
    marks = Lesson(everywhere, everywhere, torch.ones(1), torch.ones(1))
    painted: list[float] = []

    def counted(image: torch.Tensor, mask: torch.Tensor, *_: object) -> torch.Tensor:
        painted.append(float(mask.float().mean()))
        return image

    monkeypatch.setattr("sammix.training.lessons.painted_slice", counted)
    rows = [int(np.flatnonzero(table.label == label)[0]) for label in (0, 1)]
    lessons = cast(Lessons, dict.fromkeys(rows, marks))
    slices = TaughtSlices(table, np.array([], np.int64), lessons, augmented=True, painted=1.0)
    for row in rows:
        assert isinstance(slices[SliceDraw(row, 1)], Sample)
    assert painted == [0, 1]
