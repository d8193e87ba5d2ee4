"""SAM-Mix, the paper's Figure 1 as one module: classifier → activation map → prompts → SAM → masks."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from sammix.config import FitConfig, ModelConfig
from sammix.data.preprocess import Preprocess
from sammix.networks.classifiers import PRESENT, CAMClassifier, SharedClassifier, halve
from sammix.networks.interface import Masks, Network, PromptSource, SlicePrediction, TrainingBatch
from sammix.networks.prompts import Boxes, BoxMode, activation_map, boxes_from_map, enlarge, mask_prompt, mislead
from sammix.networks.sam.segment_anything import SAM
from sammix.networks.student import StudentClassifier


@dataclass(frozen=True)
class Classification:
    """What the classifier says of B slices (eq. 1 to 4).

    Attributes:
        class_logits: (B, 2), absent and present.
        cam: (B, S, S) float32 in [0, 1], the activation map.
        map_logits: (B, S, S), whose sigmoid is ``cam``; None where the map is scaled to its own peak instead.
    """

    class_logits: Tensor
    cam: Tensor
    map_logits: Tensor | None

    @property
    def presence(self) -> Tensor:
        """(B,) float32 in [0, 1]: the probability that the slice shows the organ."""
        return self.class_logits.float().softmax(dim=1)[:, PRESENT]


@dataclass(frozen=True)
class Encoding:
    """What is known of B slices before any prompt.

    Attributes:
        embedding: (B, 256, h, w) float32, SAM's.
        classes: the classification.
        features: (B, C, h, w), what the embedding was made of; None where it is not wanted any more.
    """

    embedding: Tensor
    classes: Classification
    features: Tensor | None = None


@dataclass(frozen=True)
class PromptedSlices:
    """Which slices of a training batch SAM is to segment, and with which prompts.

    Attributes:
        rows: (M,) int64, their indices in the batch.
        boxes: (M, 4) px; a row of NaN takes the map's own box.
        misled_share: the share of them whose map and box point elsewhere. ``seed`` decides which.
    """

    rows: Tensor
    boxes: Tensor
    misled_share: float
    seed: int


@dataclass(frozen=True)
class SAMMixOutput:
    """The whole figure's answer in training: of B slices the classes, of M the masks.

    Attributes:
        mask_logits: (M, K, S, S). scores: (M, K). Both None where M is 0.
    """

    classes: Classification
    mask_logits: Tensor | None
    scores: Tensor | None


class SAMMix(Network):
    """The classifier's map prompts SAM.

    Args:
        sam: SAM with LoRA in its image encoder.
        classifier: class logits and class map, from the slice (``reads_slices``) or from the frozen features. Its map's
            sigmoid is the activation map (``gives_logits``), or the map is scaled to its own peak.
        preprocess: how slices are made for this network.
        config: how the map becomes prompts and which mask is the answer.
    """

    def __init__(
        self,
        sam: SAM,
        classifier: CAMClassifier | SharedClassifier | StudentClassifier,
        preprocess: Preprocess,
        config: ModelConfig,
        name: str = "sammix",
    ) -> None:
        super().__init__(preprocess, name)
        self.sam = sam
        self.classifier = classifier
        self.config = config
        self._masks: Masks | None = None  # in place of its own

    def features(self, images: Tensor) -> Tensor:
        """(B, 1, S, S) in [0, 1] → what SAM's frozen stages make of them, without gradient."""
        with torch.no_grad():
            return self.sam.image_encoder.frozen_features(images)

    def classify(self, images: Tensor, coarse: Callable[[], Tensor]) -> Classification:
        """Class and activation map of B slices.

        Args:
            images: (B, 1, S, S), what some classifiers read.
            coarse: makes the halved features (B, C, h/2, w/2), what the others read.
        """
        return self._classified(images if self.classifier.reads_slices else coarse())

    def _classified(self, read: Tensor) -> Classification:
        """Class and activation map of what the classifier reads."""
        class_logits, class_map = self.classifier(read)
        if not self.classifier.gives_logits:
            return Classification(class_logits, activation_map(class_map, self.preprocess.size), None)
        map_logits = enlarge(class_map, self.preprocess.size)
        return Classification(class_logits, map_logits.sigmoid(), map_logits)

    def decode(self, embedding: Tensor, cam: Tensor | None, boxes: Tensor | None) -> tuple[Tensor, Tensor]:
        """Embeddings, maps and boxes of B slices → mask logits (B, K, S, S) and scores (B, K)."""
        size = self.preprocess.size
        prompt = None
        if cam is not None:
            side = 4 * embedding.shape[-1]
            prompt = mask_prompt(cam, side, self.config.omega, self.config.mask_sharpness, self.config.mask_prompt)
        logits, scores = self.sam.decode(embedding, boxes, prompt)
        if logits.shape[-1] != size:
            logits = F.interpolate(logits, size=(size, size), mode="bilinear", align_corners=False)
        return logits, scores

    def choose(self, logits: Tensor) -> Tensor:
        """The answer among K masks, (B, S, S) logits: SAM's mask for unambiguous prompts, or the last (paper)."""
        return logits[:, 0 if self.config.mask_choice == "first" else -1]

    @torch.inference_mode()
    def masks(self, embedding: Tensor, maps: Tensor, boxes: Tensor) -> Tensor:
        """M embeddings, maps and boxes → the answers' logits (M, S, S), each by itself."""
        return self.choose(self.decode(embedding, maps, boxes)[0])

    def shared(self, masks: Masks) -> SAMMix:
        """This network, in whose place ``masks`` makes the masks of automatic prompts."""
        twin = copy(self)
        twin._masks = masks
        return twin

    def forward(self, batch: TrainingBatch, prompted: PromptedSlices, learn_class: bool = True) -> SAMMixOutput:
        """The whole figure, for training.

        Args:
            batch: B slices.
            prompted: M of them, for SAM.
            learn_class: whether a gradient reaches the classifier.
        """
        with torch.set_grad_enabled(learn_class and torch.is_grad_enabled()):
            classes = self.classify(batch.images, batch.coarse)
        if not len(prompted.rows):
            return SAMMixOutput(classes, None, None)
        chance = torch.Generator().manual_seed(prompted.seed)
        cam = mislead(classes.cam[prompted.rows], prompted.misled_share, chance)
        own = boxes_from_map(cam, self.config.omega, self._single_box).xyxy
        boxes = torch.where(prompted.boxes.isnan(), own, prompted.boxes)
        embedding = self.sam.image_encoder.embedding(batch.fine(prompted.rows))
        return SAMMixOutput(classes, *self.decode(embedding, cam, boxes))

    @torch.inference_mode()
    def encode(self, images: Tensor) -> Encoding:
        """The costly, prompt-free part, for :meth:`segment`."""
        images = self.brought(images)
        features = self.features(images)
        embedding, classes = self.sam.image_encoder.embedding(features), self.classify(images, lambda: halve(features))
        return Encoding(embedding, classes, features if self.config.tissue_check else None)

    @torch.inference_mode()
    def glance(self, images: Tensor) -> SlicePrediction | None:
        """What a student says of slices (B, 1, S, S), at a small part of SAM's cost; None of another classifier."""
        if not isinstance(self.classifier, StudentClassifier):
            return None
        classes = self._classified(self.brought(images))
        return SlicePrediction(classes.cam, classes.presence, classes.cam, None, "cam")

    @torch.inference_mode()
    def segment(self, encoding: Encoding, boxes: Tensor | None = None, prompt: PromptSource = "cam") -> SlicePrediction:
        """Masks from the automatic prompts (``cam``), from given ``boxes`` (``box``), or from none.

        A map is coarse, and so is its box; SAM's first mask tells better where the organ is, if not yet where it ends.
        So automatic masks are decoded, some times more, with the mask as the map (``model.refinements``).
        """
        embedding, cam = encoding.embedding, encoding.classes.cam
        box: Tensor | None
        if prompt == "cam":
            mask, box = self._prompted_by(embedding, cam)
            for _ in range(self.config.refinements):
                mask, _ = self._prompted_by(embedding, mask.float().sigmoid())
        else:
            box = boxes.to(embedding.device) if prompt == "box" and boxes is not None else None
            mask = self.choose(self.decode(embedding, None, box)[0])
        return SlicePrediction(mask.float().sigmoid(), encoding.classes.presence, cam, box, prompt, encoding.features)

    def validate(self, batch: TrainingBatch, rows: Tensor) -> tuple[Tensor, SlicePrediction]:
        """Presence (B,) of all slices, and what is automatically found of ``rows``: no others are decoded."""
        classes = self.classify(batch.images, batch.coarse)
        chosen = Classification(classes.class_logits[rows], classes.cam[rows], None)
        if not len(rows):
            return classes.presence, SlicePrediction(chosen.cam, chosen.presence, chosen.cam, None, "cam")
        embedding = self.sam.image_encoder.embedding(batch.fine(rows))
        return classes.presence, self.segment(Encoding(embedding, chosen))

    @property
    def presence_offset(self) -> float:
        """Nats that a yes to a slice of a scan must be above (``model.presence_offset``)."""
        return self.config.presence_offset

    @property
    def neighbours_mm(self) -> float:
        """How far apart two slices of a scan may lie and still prompt each other; 0: they never do."""
        return self.config.neighbours_mm

    @torch.inference_mode()
    def redraw(self, encoding: Encoding, maps: Tensor) -> Tensor:
        """B encoded slices and maps (B, S, S) in [0, 1] → the masks' probabilities (B, S, S) that these prompt."""
        return self._prompted_by(encoding.embedding, maps)[0].float().sigmoid()

    def parameter_groups(self, config: FitConfig) -> list[dict[str, Any]]:
        """SAM's decoders and LoRA, and the fresh classifier, which may learn at a rate of its own."""
        rates = ((self.sam, config.learning_rate), (self.classifier, config.classifier_learning_rate))
        return [{"params": [p for p in part.parameters() if p.requires_grad], "lr": rate} for part, rate in rates]

    def cast_frozen(self, dtype: torch.dtype) -> None:
        """Hold the encoder's frozen stages, their features, and the image in SAM's mask decoder in ``dtype``."""
        self.sam.cast_frozen(dtype)

    def cast_encoder(self, dtype: torch.dtype) -> None:
        """Hold the image in ``dtype`` in SAM's encoder and mask decoder, and in a student that is the classifier."""
        self.sam.cast_image(dtype)
        if isinstance(self.classifier, StudentClassifier):
            self.classifier.to(dtype)

    def _prompted_by(self, embedding: Tensor, maps: Tensor) -> tuple[Tensor, Tensor]:
        """B slices, a map each → mask logits (B, S, S), the union over its boxes, and a box (B, 4) around these."""
        found = boxes_from_map(maps, self.config.omega, self.config.box)
        at, masks = found.slice_index, self._masks or self.masks
        logits = masks(embedding[at], maps[at], found.xyxy)
        return _union(logits, found.counts), _hull(found)

    @property
    def _single_box(self) -> BoxMode:
        """How a map gets exactly one box, in training."""
        several: dict[str, BoxMode] = {"each": "hull", "parts": "peak"}
        return several.get(self.config.box, self.config.box)


def _union(logits: Tensor, counts: list[int]) -> Tensor:
    """Masks of several boxes of a slice as one: (M, S, S) → (B, S, S)."""
    if len(logits) == len(counts):  # one box a slice, as nearly always
        return logits
    return torch.stack([own.amax(dim=0) for own in torch.split(logits, counts)])


def _hull(boxes: Boxes) -> Tensor:
    """One box (B, 4) around all boxes of each slice."""
    if len(boxes.xyxy) == len(boxes.counts):
        return boxes.xyxy
    own = torch.split(boxes.xyxy, boxes.counts)
    return torch.stack([torch.cat([box[:, :2].amin(dim=0), box[:, 2:].amax(dim=0)]) for box in own])
