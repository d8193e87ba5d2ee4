"""SAM-Mix, the paper's Figure 1 as one module: classifier → activation map → prompts → SAM → masks."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sammix.config import ModelConfig
from sammix.data.preprocess import Preprocess
from sammix.networks.classifiers import CAMClassifier, SharedClassifier, halve
from sammix.networks.interface import PromptSource, SlicePrediction
from sammix.networks.prompts import (
    Boxes,
    BoxMode,
    activation_map,
    boxes_from_map,
    mask_prompt,
    mislead,
    probability_map,
)
from sammix.networks.sam.segment_anything import SAM


@dataclass(frozen=True)
class Encoding:
    """What is known of B slices before any prompt.

    Attributes:
        embedding: (B, 256, h, w) float32, SAM's image embedding.
        class_logits: (B, 2), absent and present.
        cam: (B, S, S) in [0, 1], the activation map.
    """

    embedding: Tensor
    class_logits: Tensor
    cam: Tensor


class SAMMix(nn.Module):
    """The classifier's map prompts SAM.

    Args:
        sam: SAM with LoRA in its image encoder.
        classifier: class logits and class map, from ``frozen_features`` or from the slice (ResNet-38).
        preprocess: how slices are made for this network.
        config: how the map becomes prompts and which mask is the answer.
    """

    def __init__(
        self,
        sam: SAM,
        classifier: CAMClassifier | SharedClassifier,
        preprocess: Preprocess,
        config: ModelConfig,
        name: str = "sammix",
    ) -> None:
        super().__init__()
        self.sam = sam
        self.classifier = classifier
        self.preprocess = preprocess
        self.config = config
        self.name = name

    def features(self, images: Tensor) -> Tensor:
        """(B, 1, S, S) in [0, 1] → what SAM's frozen stages make of them, without gradient."""
        with torch.no_grad():
            return self.sam.image_encoder.frozen_features(images)

    def classify(self, images: Tensor, coarse: Tensor) -> tuple[Tensor, Tensor]:
        """Class logits (B, 2) and activation map (B, S, S) in [0, 1] (eq. 1 to 4).

        Args:
            images: (B, 1, S, S), what ResNet-38 reads.
            coarse: (B, C, h/2, w/2), halved features, what the others read.
        """
        class_logits, class_map = self.classifier(images if self.config.classifier == "resnet38" else coarse)
        to_map = probability_map if self.config.classifier == "shared" else activation_map
        return class_logits, to_map(class_map, self.preprocess.size)

    def prompt_boxes(self, cam: Tensor) -> Boxes:
        """The map's boxes under this model's ω and box mode."""
        return boxes_from_map(cam, self.config.omega, self.config.box)

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

    def refine(self, embedding: Tensor, cam: Tensor, boxes: Tensor) -> Tensor:
        """B maps and boxes → mask logits (B, S, S), decoded and then, some times more, with the mask as the map.

        A map is coarse, and so is its box; SAM's first mask tells better where the organ is, if not yet where it ends.
        """
        logits = self.choose(self.decode(embedding, cam, boxes)[0])
        for _ in range(self.config.refinements):
            logits = self._prompted_by(embedding, logits.float().sigmoid())
        return logits

    def _prompted_by(self, embedding: Tensor, maps: Tensor) -> Tensor:
        """Mask logits (B, S, S) of B slices, each prompted by one map and its one box."""
        boxes = boxes_from_map(maps, self.config.omega, self._single_box).xyxy
        return self.choose(self.decode(embedding, maps, boxes)[0])

    def choose(self, logits: Tensor) -> Tensor:
        """The answer among K masks, (B, S, S) logits: SAM's mask for unambiguous prompts, or the last (paper)."""
        return logits[:, 0 if self.config.mask_choice == "first" else -1]

    def forward(
        self,
        images: Tensor,
        coarse: Tensor,
        fine: Tensor,
        chosen: Tensor,
        boxes: Tensor,
        misled_share: float,
        seed: int,
    ) -> tuple[Tensor, Tensor, Tensor | None, Tensor | None]:
        """The whole figure, for training.

        Args:
            images: (B, 1, S, S). coarse: (B, C, h/2, w/2), as for :meth:`classify`.
            fine: (M, C, h, w) features of the slices to segment, from :meth:`features`, perhaps cached.
            chosen: (M,) their indices among the B.
            boxes: (M, 4) px to prompt them with; NaN rows take the map's own box.
            misled_share: of the chosen slices, whose map and box point elsewhere; ``seed`` decides which.

        Returns:
            Class logits (B, 2), maps (B, S, S), mask logits (M, K, S, S) and scores (M, K); the latter two None where
            M is 0.
        """
        class_logits, cam = self.classify(images, coarse)
        if not len(chosen):
            return class_logits, cam, None, None
        prompting = mislead(cam[chosen], misled_share, torch.Generator().manual_seed(seed))
        own = boxes_from_map(prompting, self.config.omega, self._single_box)
        boxes = torch.where(boxes.isnan(), own.xyxy, boxes)
        embedding = self.sam.image_encoder.embedding(fine)
        mask_logits, scores = self.decode(embedding, prompting, boxes)
        return class_logits, cam, mask_logits, scores

    @property
    def _single_box(self) -> BoxMode:
        """How a map gets exactly one box."""
        return "hull" if self.config.box == "each" else self.config.box

    @torch.inference_mode()
    def encode(self, images: Tensor) -> Encoding:
        """The costly, prompt-free part, for :meth:`segment`."""
        images = images.to(next(self.parameters()).device)
        features = self.features(images)
        class_logits, cam = self.classify(images, halve(features))
        return Encoding(self.sam.image_encoder.embedding(features), class_logits, cam)

    @torch.inference_mode()
    def segment(self, encoding: Encoding, boxes: Tensor | None = None, prompt: PromptSource = "cam") -> SlicePrediction:
        """Masks from the automatic prompts (``cam``), from given ``boxes`` (``box``), or from none."""
        box: Tensor | None
        if prompt == "cam":
            found = self.prompt_boxes(encoding.cam)
            index = found.slice_index
            logits = self.refine(encoding.embedding[index], encoding.cam[index], found.xyxy)
            mask, box = _union(logits, index, len(encoding.cam)), _hull(found, len(encoding.cam))
        else:
            box = boxes.to(encoding.embedding.device) if prompt == "box" and boxes is not None else None
            mask = self.choose(self.decode(encoding.embedding, None, box)[0])
        presence = encoding.class_logits.float().softmax(dim=1)[:, 1]
        return SlicePrediction(mask.float().sigmoid(), presence, encoding.cam, box, prompt)

    @property
    def neighbours_mm(self) -> float:
        """How far apart two slices of a scan may lie and still prompt each other; 0: they never do."""
        return self.config.neighbours_mm

    @torch.inference_mode()
    def redraw(self, encoding: Encoding, maps: Tensor) -> Tensor:
        """B encoded slices and maps (B, S, S) in [0, 1] → the masks' probabilities (B, S, S) that these prompt."""
        return self._prompted_by(encoding.embedding, maps).float().sigmoid()


def _union(logits: Tensor, index: Tensor, count: int) -> Tensor:
    """Masks of several boxes of a slice as one: (M, S, S) → (count, S, S)."""
    return torch.stack([logits[index == i].amax(dim=0) for i in range(count)])


def _hull(boxes: Boxes, count: int) -> Tensor:
    """One box (count, 4) around all boxes of each slice."""
    own = [boxes.xyxy[boxes.slice_index == i] for i in range(count)]
    return torch.stack([torch.cat([box[:, :2].amin(dim=0), box[:, 2:].amax(dim=0)]) for box in own])
