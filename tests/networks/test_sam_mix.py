from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from sammix.config import load_preset
from sammix.data.preprocess import Preprocess
from sammix.errors import ConfigError
from sammix.models.build import build_model
from sammix.networks.classifiers import halve
from sammix.networks.sam_mix import SAMMix


def tiny(*settings: str) -> SAMMix:
    torch.manual_seed(0)
    return build_model(load_preset("tiny", settings), Preprocess(size=64))[0].eval()


@pytest.mark.parametrize("box", ["peak", "hull", "each"])
def test_every_prompt_gives_a_mask_for_every_slice(box: str) -> None:
    model, images = tiny(f"model.box={box}"), torch.rand(3, 1, 64, 64)
    encoding = model.encode(images)
    boxes = torch.tensor([[4.0, 4, 40, 40]]).repeat(3, 1)
    for prompt, given in (("cam", None), ("box", boxes), ("none", None)):
        found = model.segment(encoding, given, prompt)  # type: ignore[arg-type]
        assert found.probability.shape == (3, 64, 64)
        assert found.presence.shape == (3,)
        assert found.prompt == prompt
        assert (found.box is None) == (prompt == "none")


def test_a_refinement_takes_the_mask_as_its_map() -> None:
    images = torch.rand(3, 1, 64, 64)
    once, twice = tiny("model.refinements=0"), tiny("model.refinements=1")
    encoding = once.encode(images)
    first = once.segment(encoding)
    as_map = replace(encoding, cam=first.probability)
    second = twice.segment(encoding)
    torch.testing.assert_close(second.probability, once.segment(as_map).probability)
    assert not torch.equal(second.probability, first.probability)
    assert second.box is not None
    assert first.box is not None
    assert torch.equal(second.box, first.box)  # what is shown is the map's


def test_redrawn_from_its_own_mask_it_is_refined() -> None:
    once, twice = tiny("model.refinements=0"), tiny("model.refinements=1")
    encoding = once.encode(torch.rand(3, 1, 64, 64))
    redrawn = once.redraw(encoding, once.segment(encoding).probability)
    torch.testing.assert_close(redrawn, twice.segment(encoding).probability)


def test_slices_of_a_batch_do_not_see_each_other() -> None:
    model, images = tiny(), torch.rand(3, 1, 64, 64)
    together = model.segment(model.encode(images))
    alone = model.segment(model.encode(images[1:2]))
    torch.testing.assert_close(together.probability[1:2], alone.probability, atol=1e-4, rtol=1e-3)
    torch.testing.assert_close(together.presence[1:2], alone.presence, atol=1e-5, rtol=1e-4)


def test_the_soft_mask_prompt_carries_the_segmentation_loss_to_the_classifier() -> None:
    """End to end in the literal sense: hard prompts carry no gradient, soft ones do."""
    images, chosen, boxes = torch.rand(2, 1, 64, 64), torch.tensor([0, 1]), torch.full((2, 4), torch.nan)
    for mode, reached in (("soft", True), ("hard", False)):
        model = tiny(f"model.mask_prompt={mode}")
        features = model.features(images)
        _, _, mask_logits, _ = model(images, halve(features), features, chosen, boxes, misled_share=0.0, seed=0)
        mask_logits.square().mean().backward()
        gradients = [p.grad for p in model.classifier.parameters()]
        assert any(g is not None and bool(g.any()) for g in gradients) == reached


def test_only_lora_decoders_and_classifier_are_trained() -> None:
    names = {name for name, parameter in tiny().named_parameters() if parameter.requires_grad}
    encoder = {name for name in names if name.startswith("sam.image_encoder")}
    assert encoder
    assert {name.rsplit(".", 1)[1] for name in encoder} == {"a_q", "b_q", "a_v", "b_v"}
    assert {name.split(".")[0] for name in names} == {"sam", "classifier"}


@pytest.mark.parametrize("classifier", ["shared", "pooled"])
def test_settings_that_do_not_go_together(classifier: str) -> None:
    with pytest.raises(ConfigError, match=f"the {classifier} classifier .* use resnet38"):
        build_model_of("paper", f"model.classifier={classifier}")


def build_model_of(preset: str, *settings: str) -> None:
    import sammix.models.build as build

    config = load_preset(preset, settings)
    sam = build.build_sam_vit_b(None, image_size=64, lora_rank=1)
    build._classifier(config.model, sam)
