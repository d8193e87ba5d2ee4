from __future__ import annotations

import torch
from torch import nn

from sammix.config import FitConfig
from sammix.data.preprocess import Preprocess
from sammix.networks.interface import PromptSource, SlicePrediction
from sammix.networks.unprompted import Unprompted
from sammix.training.batches import Batch


class Brightness(Unprompted[torch.Tensor]):
    """Takes a pixel's value, times a number that it learns, for its probability."""

    def segment(
        self, encoding: torch.Tensor, boxes: torch.Tensor | None = None, prompt: PromptSource = "cam"
    ) -> SlicePrediction:
        return SlicePrediction(encoding[:, 0], encoding.amax(dim=(1, 2, 3)), None, None, "none")


def test_a_child_says_what_the_output_means_and_the_rest_is_there(four: Batch) -> None:
    network = Brightness(nn.Conv2d(1, 1, 1, bias=False), Preprocess(size=32), "bright")
    (group,) = network.parameter_groups(FitConfig(learning_rate=0.5))
    nn.init.constant_(group["params"][0], 0.5)
    assert group["lr"] == 0.5
    assert network.features(four.images) is four.images
    presence, found = network.validate(four, torch.tensor([2, 0]))
    torch.testing.assert_close(found.probability, four.images[[2, 0], 0] / 2)
    torch.testing.assert_close(presence, four.images.amax(dim=(1, 2, 3)) / 2)
    assert not network.encode(four.images).requires_grad
