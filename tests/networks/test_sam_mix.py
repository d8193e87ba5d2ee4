from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest
import torch

from sammix.config import load_preset
from sammix.data.preprocess import Preprocess
from sammix.models.registry import build_model
from sammix.networks.classifiers import halve
from sammix.networks.sam_mix import PromptedSlices, SAMMix
from sammix.training.batches import Batch


def tiny(*settings: str) -> SAMMix:
    torch.manual_seed(0)
    return build_model(load_preset("tiny", settings), Preprocess(size=64))[0].eval()


@pytest.mark.parametrize("box", ["peak", "hull", "parts", "each"])
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


def test_a_slice_of_several_boxes_has_the_union_of_their_masks_and_the_hull_of_the_boxes() -> None:
    model, maps = tiny("model.box=each"), torch.zeros(2, 64, 64)
    maps[0, 8:20, 8:20] = maps[0, 40:52, 30:60] = maps[1, 4:9, 5:50] = 1
    embedding = model.encode(torch.rand(2, 1, 64, 64)).embedding
    logits, box = model._prompted_by(embedding, maps)
    assert box.tolist() == [[8, 8, 59, 51], [5, 4, 49, 8]]
    boxes, rows = torch.tensor([[8.0, 8, 19, 19], [30, 40, 59, 51], [5, 4, 49, 8]]), torch.tensor([0, 0, 1])
    each = model.choose(model.decode(embedding[rows], maps[rows], boxes)[0])
    torch.testing.assert_close(logits, torch.stack([each[:2].amax(dim=0), each[2]]))


def test_an_offset_is_for_whoever_has_a_scan_and_changes_nothing_here() -> None:
    plain, strict = tiny(), tiny("model.presence_offset=2")
    images = torch.rand(3, 1, 64, 64)
    torch.testing.assert_close(strict.encode(images).classes.presence, plain.encode(images).classes.presence)
    assert (plain.presence_offset, strict.presence_offset) == (0, 2)


def test_a_student_may_be_asked_before_the_slice_is_encoded() -> None:
    images = torch.rand(3, 1, 64, 64)
    assert tiny().glance(images) is None
    prompted = tiny("model.classifier=student")
    glanced, encoded = prompted.glance(images), prompted.encode(images).classes
    assert glanced is not None
    torch.testing.assert_close(glanced.presence, encoded.presence)
    torch.testing.assert_close(glanced.probability, encoded.cam)


def test_features_are_handed_on_where_a_scan_is_to_check_its_masks_by_them() -> None:
    images = torch.rand(3, 1, 64, 64)
    checked, unchecked = tiny(), tiny("model.tissue_check=false")
    found = checked.segment(checked.encode(images))
    assert found.features is not None
    torch.testing.assert_close(found.features, checked.features(images))
    assert unchecked.segment(unchecked.encode(images)).features is None
    some = found.of(torch.tensor([2]))
    assert some.features is not None
    torch.testing.assert_close(some.features, found.features[2:])


def test_a_refinement_takes_the_mask_as_its_map() -> None:
    images = torch.rand(3, 1, 64, 64)
    once, twice = tiny("model.refinements=0"), tiny("model.refinements=1")
    encoding = once.encode(images)
    first = once.segment(encoding)
    as_map = replace(encoding, classes=replace(encoding.classes, cam=first.probability))
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


def test_the_soft_mask_prompt_carries_the_segmentation_loss_to_the_classifier() -> None:
    """End to end in the literal sense: hard prompts carry no gradient, soft ones do."""
    images, chosen, boxes = torch.rand(2, 1, 64, 64), torch.tensor([0, 1]), torch.full((2, 4), torch.nan)
    for mode, reached in (("soft", True), ("hard", False)):
        model = tiny(f"model.mask_prompt={mode}")
        nothing = torch.zeros(2, 64, 64, dtype=torch.uint8), torch.zeros(2, dtype=torch.bool)
        batch = Batch(images, torch.ones(2, dtype=torch.int64), *nothing, model.features(images))
        output = model(batch, PromptedSlices(chosen, boxes, misled_share=0.0, seed=0))
        output.mask_logits.square().mean().backward()
        gradients = [p.grad for p in model.classifier.parameters()]
        assert any(g is not None and bool(g.any()) for g in gradients) == reached


def test_only_lora_decoders_and_classifier_are_trained() -> None:
    names = {name for name, parameter in tiny().named_parameters() if parameter.requires_grad}
    encoder = {name for name in names if name.startswith("sam.image_encoder")}
    assert encoder
    assert {name.rsplit(".", 1)[1] for name in encoder} == {"a_q", "b_q", "a_v", "b_v"}
    assert {name.split(".")[0] for name in names} == {"sam", "classifier"}


def test_the_shared_classifiers_map_is_a_probability_and_the_others_is_scaled_to_its_peak() -> None:
    images = torch.rand(3, 1, 64, 64)
    for classifier in ("shared", "resnet38", "pooled"):
        model = tiny(f"model.classifier={classifier}", "model.classifier_width=0.1")
        found = model.classify(images, partial(halve, model.features(images)))
        assert found.cam.shape == (3, 64, 64)
        torch.testing.assert_close(found.presence, found.class_logits.softmax(dim=1)[:, 1])
        if classifier == "shared":
            assert found.map_logits is not None
            torch.testing.assert_close(found.cam, found.map_logits.sigmoid())
        else:
            assert found.map_logits is None
            peaks = found.cam.amax(dim=(1, 2))
            torch.testing.assert_close(peaks, (peaks > 0).float())


@pytest.mark.parametrize(("classifier", "asked"), [("student", False), ("shared", True)])
def test_features_are_halved_for_those_alone_who_read_them(classifier: str, asked: bool) -> None:
    model, images, calls = tiny(f"model.classifier={classifier}"), torch.rand(1, 1, 64, 64), []

    def coarse() -> torch.Tensor:
        calls.append(1)
        return halve(model.features(images))

    model.classify(images, coarse)
    assert bool(calls) == asked


def test_the_classifier_can_be_left_alone_while_sam_learns() -> None:
    model, images = tiny(), torch.rand(2, 1, 64, 64)
    nothing = torch.zeros(2, 64, 64, dtype=torch.uint8), torch.zeros(2, dtype=torch.bool)
    batch = Batch(images, torch.ones(2, dtype=torch.int64), *nothing, model.features(images))
    own_boxes = torch.full((2, 4), torch.nan)
    output = model(batch, PromptedSlices(torch.tensor([0, 1]), own_boxes, 0.0, seed=0), learn_class=False)
    assert not output.classes.class_logits.requires_grad
    output.mask_logits.square().mean().backward()
    assert all(p.grad is None for p in model.classifier.parameters())


def test_without_a_prompted_slice_sam_is_not_asked() -> None:
    model, images = tiny(), torch.rand(2, 1, 64, 64)
    nothing = torch.zeros(2, 64, 64, dtype=torch.uint8), torch.zeros(2, dtype=torch.bool)
    batch = Batch(images, torch.ones(2, dtype=torch.int64), *nothing, model.features(images))
    output = model(batch, PromptedSlices(torch.zeros(0, dtype=torch.int64), torch.zeros(0, 4), 0.0, seed=0))
    assert output.mask_logits is output.scores is None
    assert output.classes.class_logits.shape == (2, 2)


def test_frozen_parts_may_be_held_in_half_precision() -> None:
    images = torch.rand(2, 1, 64, 64)
    exact, model = tiny(), tiny()
    model.cast_frozen(torch.bfloat16)
    assert model.features(images).dtype == torch.bfloat16
    expected = exact.segment(exact.encode(images))
    for _ in range(2):
        found = model.segment(model.encode(images))
        assert found.probability.dtype == torch.float32
        torch.testing.assert_close(found.probability, expected.probability, atol=0.05, rtol=0)
        model.cast_encoder(torch.bfloat16)
