"""What a teacher says of a table's slices: computed once, and moved about with them in a student's batches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from sammix.data.augmentation import augment_planes
from sammix.data.sampling import Rows, SliceDraw
from sammix.data.table import SliceTable
from sammix.errors import SammixError
from sammix.networks.interface import MASK_THRESHOLD, Lesson, Segmenter, SlicePrediction
from sammix.training.batches import Sample, painted_slice, read_slice
from sammix.training.feature_cache import FeatureCache, SliceView


def lesson_of(found: SlicePrediction) -> Lesson:
    """Make a teacher's prediction a lesson."""
    doubt = torch.zeros_like(found.presence) if found.disagreement is None else found.disagreement
    cam = found.probability if found.cam is None else found.cam
    return Lesson(found.probability.float(), cam.float(), found.presence.float(), (1 - doubt).float().clamp(0, 1))


class Lessons:
    """A teacher's lessons on a table's slices, kept on disk in float16.

    Args:
        table: whose slices.
        folder: gets a folder of its own for each teacher and each table's images.
        teacher_sha256: names the teacher.
        teach: brings the teacher, if there is something to ask it.
    """

    def __init__(self, table: SliceTable, folder: Path, teacher_sha256: str, teach: Callable[[], Segmenter]) -> None:
        size = table.preprocess.size
        self.table, self.size, self.teach = table, size, teach
        key = {"images": table.images_sha256(), "teacher": teacher_sha256}
        self.cache = FeatureCache(folder, key, (2 * size * size + 2,), "teacher", "keep it on another disk (--cache)")

    def fill(self, rows: Rows) -> None:
        """Ask the teacher about those rows on which there is no lesson yet."""
        teacher: Segmenter | None = None

        def answer(entries: Sequence[SliceView]) -> Tensor:
            nonlocal teacher
            teacher = teacher or self.teach()
            images = np.stack([np.asarray(self.table.images[row], np.float32) for row, _ in entries])
            lesson = lesson_of(teacher.segment(teacher.encode(torch.from_numpy(images)[:, None])))
            scalars = torch.stack([lesson.presence, lesson.trust], dim=1)
            return torch.cat([lesson.probability.flatten(1), lesson.cam.flatten(1), scalars], dim=1)

        self.cache.add([(int(row), 0) for row in rows], answer)

    def __getitem__(self, row: int) -> Lesson:
        """Read the lesson on one slice, B = 1."""
        values = self.cache.read([(row, 0)])[0].float()
        probability, cam = values[:-2].reshape(2, 1, self.size, self.size)
        return Lesson(probability, cam, presence=values[-2:-1], trust=values[-1:])


class TaughtSlices(Dataset[Sample | SammixError]):
    """Slices with a teacher's lessons, augmented anew in every batch.

    Args:
        mask_rows: rows whose drawn mask may be used.
        lessons: on all rows that are drawn with a seed; the others are seen as they are, and without a lesson.
        augmented: whether slices and lessons are augmented.
        painted: of augmented slices, how many have the organ painted: where it was drawn, or else, unless the slice is
            labelled as without it, where the teacher marks it.
    """

    def __init__(
        self, table: SliceTable, mask_rows: Rows, lessons: Lessons, augmented: bool, painted: float = 0.0
    ) -> None:
        self.table, self.mask_rows, self.lessons = table, frozenset(mask_rows.tolist()), lessons
        self.augmented, self.painted = augmented, painted

    def __getitem__(self, draw: SliceDraw) -> Sample | SammixError:
        """Read and augment the slice that was drawn. An error is returned, for the training process to raise."""
        known = draw.row in self.mask_rows
        try:
            image, mask = read_slice(self.table, draw.row, known)
        except SammixError as error:
            return error
        lesson = None if draw.seed is None else self.lessons[draw.row]
        if lesson is not None and draw.seed is not None and self.augmented:
            chance = torch.Generator().manual_seed(draw.seed)
            if self.painted and float(torch.rand(1, generator=chance)) < self.painted:
                told = known or self.table.label[draw.row] == 0  # by people; without the organ the mask is empty
                organ = mask if told else (lesson.probability[0] >= MASK_THRESHOLD).to(mask.dtype)
                image = painted_slice(image, organ, self.table.preprocess, chance)
            planes = torch.stack([lesson.probability, lesson.cam, mask[None].float()], dim=1)
            images, planes = augment_planes(image[None], planes, chance)
            image, mask = images[0], (planes[0, 2] >= 0.5).to(mask.dtype)
            lesson = Lesson(planes[:, 0], planes[:, 1], lesson.presence, lesson.trust)
        return Sample(image[None], int(self.table.label[draw.row]), mask, known, lesson=lesson)
