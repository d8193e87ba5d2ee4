from __future__ import annotations

import re
from functools import partial
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from transformers.models.sam.configuration_sam import (
    SamConfig,
    SamMaskDecoderConfig,
    SamPromptEncoderConfig,
    SamVisionConfig,
)
from transformers.models.sam.modeling_sam import SamModel

from sammix.errors import WeightsError
from sammix.models import installing, pretrained
from sammix.networks.sam.checkpoint import convert_lite_medsam, convert_sam, fold_batch_norm, load
from sammix.networks.sam.segment_anything import SAM, build_lite_medsam, build_sam_vit_b, prompt_and_mask
from sammix.networks.sam.vit import SamViT


def vision(image_size: int) -> SamVisionConfig:
    return SamVisionConfig(
        hidden_size=24,
        num_hidden_layers=2,
        num_attention_heads=2,
        output_channels=32,
        image_size=image_size,
        window_size=3,
        global_attn_indexes=[1],
        num_pos_feats=16,
        initializer_range=0.1,
    )


def our_sam(image_size: int = 64) -> SAM:
    return SAM(
        SamViT(vision(image_size), lora_blocks=2), *prompt_and_mask(image_size, stride=16, dim=32, mlp_dim=64, heads=4)
    )


@pytest.fixture
def their_sam() -> SamModel:
    torch.manual_seed(0)
    config = SamConfig(
        vision_config=vision(64),
        prompt_encoder_config=SamPromptEncoderConfig(hidden_size=32, image_size=64, mask_input_channels=16),
        mask_decoder_config=SamMaskDecoderConfig(
            hidden_size=32, mlp_dim=64, num_attention_heads=4, iou_head_hidden_dim=32, layer_norm_eps=1e-5
        ),
        initializer_range=0.2,
    )
    model = SamModel(config).eval()
    for name, parameter in model.named_parameters():
        if "pos" in name:
            nn.init.normal_(parameter, std=0.5)
    return model


TO_OFFICIAL = (
    (r"^vision_encoder\.", "image_encoder."),
    (r"^image_encoder\.layers\.", "image_encoder.blocks."),
    (r"patch_embed\.projection", "patch_embed.proj"),
    (r"neck\.conv1", "neck.0"),
    (r"neck\.layer_norm1", "neck.1"),
    (r"neck\.conv2", "neck.2"),
    (r"neck\.layer_norm2", "neck.3"),
    (r"shared_embedding\.positional_embedding", "pe_layer.positional_encoding_gaussian_matrix"),
    (r"\.point_embed\.", ".point_embeddings."),
    (r"mask_embed\.conv1", "mask_downscaling.0"),
    (r"mask_embed\.layer_norm1", "mask_downscaling.1"),
    (r"mask_embed\.conv2", "mask_downscaling.3"),
    (r"mask_embed\.layer_norm2", "mask_downscaling.4"),
    (r"mask_embed\.conv3", "mask_downscaling.6"),
    (r"upscale_conv1", "output_upscaling.0"),
    (r"upscale_layer_norm", "output_upscaling.1"),
    (r"upscale_conv2", "output_upscaling.3"),
    (r"layer_norm", "norm"),
    (r"(mlps\.\d+|head)\.layers\.0", r"\1.layers.1"),
    (r"proj_in", "layers.0"),
    (r"proj_out", "layers.2"),
)


def official_state(model: nn.Module) -> dict[str, Tensor]:
    """The names in which ``segment_anything`` publishes its checkpoints."""
    state = {}
    for name, tensor in model.state_dict().items():
        if not name.startswith("shared_image_embedding"):
            for pattern, replacement in TO_OFFICIAL:
                name = re.sub(pattern, replacement, name)
            state[name] = tensor
    return state


def assert_same_masks(ours: SAM, theirs: SamModel) -> None:
    torch.manual_seed(0)
    encoder = ours.image_encoder
    assert isinstance(encoder, SamViT)
    images, boxes = torch.rand(2, 1, 64, 64), torch.tensor([[8.0, 10, 40, 50], [0, 0, 63, 63]])
    pixels = (255 * images - encoder.mean) / encoder.std
    with torch.no_grad():
        masks, scores = ours.decode(encoder(images), boxes)
        first = theirs(pixels, input_boxes=boxes[:, None], multimask_output=False)
        others = theirs(pixels, input_boxes=boxes[:, None])
    expected = torch.cat((first.pred_masks[:, 0], others.pred_masks[:, 0]), dim=1)
    expected_scores = torch.cat((first.iou_scores[:, 0], others.iou_scores[:, 0]), dim=1)
    assert expected.std() > 1e-3
    torch.testing.assert_close(masks, expected, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(scores, expected_scores, atol=1e-5, rtol=1e-4)


def test_hugging_face_names(their_sam: SamModel) -> None:
    ours = our_sam()
    load(ours, convert_sam(their_sam.state_dict()), "test")
    assert_same_masks(ours, their_sam)


def test_official_names(their_sam: SamModel) -> None:
    state, ours = official_state(their_sam), our_sam()
    assert "image_encoder.blocks.1.norm2.weight" in state  # as in sam_vit_b_01ec64.pth
    assert "mask_decoder.output_hypernetworks_mlps.3.layers.2.bias" in state
    assert "mask_decoder.transformer.norm_final_attn.weight" in state
    load(ours, convert_sam(state), "test")
    assert_same_masks(ours, their_sam)


def test_the_official_names_are_those_of_a_real_checkpoint(
    their_sam: SamModel, lite_medsam_weights: dict[str, Tensor]
) -> None:
    """LiteMedSAM keeps SAM's own names outside its image encoder."""
    real = {name for name in lite_medsam_weights if not name.startswith("image_encoder.")}
    assert real == {name for name in official_state(their_sam) if not name.startswith("image_encoder.")}


@pytest.mark.parametrize("file", ["model.safetensors", "pytorch_model.bin"])
def test_a_hugging_face_folder_by_way_of_the_weights_folder(
    their_sam: SamModel, file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SAMMIX_HOME", str(tmp_path / "home"))
    folder = tmp_path / "sam-vit-base"
    folder.mkdir()
    tied = "prompt_encoder.shared_embedding.positional_embedding"  # a file may leave it out
    state = {name: tensor for name, tensor in their_sam.state_dict().items() if name != tied}
    if file == "model.safetensors":
        save_file(state, folder / file)
    else:
        torch.save(state, folder / file)
    installing.import_file("sam-vit-b", folder)
    ours = our_sam()
    load(ours, convert_sam(pretrained.load_state("sam-vit-b")), "test")
    assert_same_masks(ours, their_sam)


def test_tables_of_1024_px_are_interpolated_to_256(their_sam: SamModel) -> None:
    state, ours = official_state(their_sam), our_sam(256)
    y, x = torch.meshgrid(torch.arange(64.0), torch.arange(64.0), indexing="ij")
    ramp = torch.stack([y + k * x for k in range(24)], dim=-1)[None]
    state["image_encoder.pos_embed"] = ramp
    distances = torch.arange(-63.0, 64)[:, None].expand(-1, 12)
    for axis in "hw":
        state[f"image_encoder.blocks.1.attn.rel_pos_{axis}"] = distances
    window = state["image_encoder.blocks.0.attn.rel_pos_h"]
    load(ours, convert_sam(state), "test")
    encoder = ours.image_encoder
    assert isinstance(encoder, SamViT)
    # four old positions' mean is a new one's centre; the kernel reaches beyond the table at its rim
    expected = ramp.view(1, 16, 4, 16, 4, 24).mean((2, 4))
    assert encoder.pos_embed.shape == (1, 16, 16, 24)
    torch.testing.assert_close(encoder.pos_embed[:, 2:-2, 2:-2], expected[:, 2:-2, 2:-2], atol=1e-2, rtol=0)
    table = encoder.layers[1].attn.rel_pos_h
    assert table.shape == (31, 12)
    torch.testing.assert_close(table[:, 0], (torch.arange(31) - 15) * 127 / 31, atol=1e-4, rtol=0)
    assert torch.equal(encoder.layers[0].attn.rel_pos_h, window)


def test_a_checkpoint_of_1024_px_builds_a_network_of_256(monkeypatch: pytest.MonkeyPatch) -> None:
    small = {"hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2, "global_attn_indexes": [1]}
    monkeypatch.setattr("transformers.models.sam.configuration_sam.SamVisionConfig", partial(SamVisionConfig, **small))
    state = official_state(build_sam_vit_b(None, lora_blocks=2, lora_rank=0))
    assert state["image_encoder.pos_embed"].shape == (1, 64, 64, 24)
    sam = build_sam_vit_b(state, image_size=256, lora_blocks=2)
    assert torch.equal(sam.image_encoder.state_dict()["neck.conv1.weight"], state["image_encoder.neck.0.weight"])
    masks, _ = sam.decode(sam.image_encoder(torch.rand(1, 1, 256, 256)), torch.tensor([[10.0, 10, 99, 99]]))
    assert masks.shape == (1, 4, 64, 64)
    assert masks.std() > 0


def test_a_folded_batch_norm_is_exact() -> None:
    torch.manual_seed(0)
    conv, norm = nn.Conv2d(3, 5, 3, bias=False), nn.BatchNorm2d(5)
    for tensor in (norm.weight, norm.bias, norm.running_mean):
        nn.init.normal_(tensor)  # type: ignore[arg-type]
    nn.init.uniform_(norm.running_var, 0.01, 2)  # type: ignore[arg-type]
    weight, bias = fold_batch_norm(conv.weight, norm.state_dict())
    x = torch.randn(2, 3, 8, 8)
    torch.testing.assert_close(nn.functional.conv2d(x, weight, bias), norm.eval()(conv(x)), atol=1e-5, rtol=1e-5)


def test_all_of_lite_medsam_is_used(lite_medsam_weights: dict[str, Tensor]) -> None:
    norms = sum(name.endswith(".bn.weight") for name in lite_medsam_weights)
    counters = sum(name.endswith("num_batches_tracked") for name in lite_medsam_weights)
    # a norm's four tensors become one bias
    assert len(convert_lite_medsam(lite_medsam_weights)) == len(lite_medsam_weights) - counters - 3 * norms
    assert norms == 27


def test_weights_of_another_network_are_refused_in_one_line(
    their_sam: SamModel,
) -> None:
    with pytest.raises(WeightsError, match=r"^the LiteMedSAM weights lack ") as error:
        build_lite_medsam(official_state(their_sam))
    assert "\n" not in str(error.value)
    state = official_state(their_sam) | {"image_encoder.neck.0.weight": torch.zeros(7, 24, 1, 1)}
    with pytest.raises(WeightsError, match=r"have another shape of image_encoder\.neck\.conv1\.weight; "):
        load(our_sam(), convert_sam(state), "these weights")
    state = official_state(their_sam) | {"image_encoder.extra": torch.zeros(1)}
    with pytest.raises(WeightsError, match=r"have a foreign image_encoder\.extra; "):
        load(our_sam(), convert_sam(state), "these weights")


def test_a_batch_norm_that_lacks_a_part_is_named(lite_medsam_weights: dict[str, Tensor]) -> None:
    state = dict(lite_medsam_weights)
    del state["image_encoder.patch_embed.seq.0.bn.running_var"]
    with pytest.raises(WeightsError, match=r"lack image_encoder\.patch_embed\.0\.bn\.running_var; bring"):
        build_lite_medsam(state)
