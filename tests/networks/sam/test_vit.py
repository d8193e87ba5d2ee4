from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from transformers.models.sam.configuration_sam import SamVisionConfig
from transformers.models.sam.modeling_sam import SamVisionEncoder

from sammix.networks.sam.vit import SamViT

Make = Callable[[int, int], SamViT]


def test_it_is_transformers_encoder_of_the_slice_in_imagenets_colours(make_sam_vit: Make, images: Tensor) -> None:
    ours = make_sam_vit(0, 0)
    config = SamVisionConfig(
        hidden_size=24,
        num_hidden_layers=4,
        num_attention_heads=2,
        image_size=64,
        output_channels=32,
        window_size=3,
        global_attn_indexes=[1, 3],
    )
    theirs = SamVisionEncoder(config)
    theirs.load_state_dict(ours.state_dict())
    colours = torch.stack(
        [(255 * images[:, 0] - m) / s for m, s in ((123.675, 58.395), (116.28, 57.12), (103.53, 57.375))], 1
    )
    with torch.no_grad():
        torch.testing.assert_close(ours(images), theirs(colours).last_hidden_state)


def test_a_window_of_attention_reaches_no_further_than_a_global_block_lets_it(make_sam_vit: Make) -> None:
    """Of four blocks the second and the last see the whole slice: after one block a far corner is unknown."""
    encoder, slice_ = make_sam_vit(0, 3), torch.zeros(1, 1, 64, 64)
    changed = slice_.clone()
    changed[..., :16, :16] = 1
    with torch.no_grad():
        after_one = (encoder.frozen_features(changed) - encoder.frozen_features(slice_)).abs().amax(dim=1)[0]
        after_all = (encoder(changed) - encoder(slice_)).abs().amax(dim=1)[0]
    assert after_one[:3, :3].min() > 0, "its own window of three by three"
    assert after_one[3].max() == after_one[:, 3].max() == 0
    assert after_all.min() > 0
