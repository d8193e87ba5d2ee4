from __future__ import annotations

import pytest
import torch
from torch import nn

from sammix.networks.classifiers import PRESENT, CAMClassifier, SharedClassifier, halve, pooled_classifier
from sammix.networks.prompts import activation_map


def test_pooling_and_head_commute() -> None:
    """The paper's eq. 2 (pool, then classify) and eq. 4 (the map) from the same weights."""
    torch.manual_seed(0)
    classifier, features = CAMClassifier(nn.Identity(), 6), torch.randn(3, 6, 5, 4)
    logits, cam = classifier(features)
    weight = classifier.head.weight
    torch.testing.assert_close(logits, features.mean((2, 3)) @ weight.T)
    torch.testing.assert_close(cam, torch.einsum("i,bihw->bhw", weight[PRESENT], features))
    torch.testing.assert_close(cam.mean((1, 2)), logits[:, PRESENT])
    assert classifier.head.bias is None


def test_it_runs_its_extractor() -> None:
    extractor = nn.Conv2d(1, 6, 3, stride=2, padding=1)
    classifier, x = CAMClassifier(extractor, 6), torch.randn(2, 1, 8, 8)
    logits, cam = classifier(x)
    assert (logits.shape, cam.shape) == ((2, 2), (2, 4, 4))
    torch.testing.assert_close(logits, CAMClassifier.forward(_headed(classifier.head), extractor(x))[0])


def _headed(head: nn.Linear) -> CAMClassifier:
    plain = CAMClassifier(nn.Identity(), head.in_features)
    plain.head = head
    return plain


@pytest.mark.parametrize("side", [16, 30, 32])
def test_the_shared_classifier_maps_every_position(side: int) -> None:
    classifier = SharedClassifier(in_channels=16, width=8)
    logits, class_map = classifier(torch.randn(2, 16, side, side))
    assert (logits.shape, class_map.shape) == ((2, 2), (2, 2 * side, 2 * side))
    assert not logits[:, 0].any()


def test_the_strongest_positions_decide_the_class() -> None:
    classifier = SharedClassifier(in_channels=4, width=8, strongest=4 / 1024).eval()
    logits, class_map = classifier(torch.randn(3, 4, 16, 16))
    strongest = class_map.flatten(1).sort(dim=1, descending=True).values[:, :4]
    torch.testing.assert_close(logits[:, PRESENT], strongest.mean(dim=1))


def taught_by_yes_and_no(
    classifier: nn.Module, rows: slice, columns: slice
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """After training on slices of which every other one shows a region: its class logits, its maps, the classes."""
    x, present = torch.randn(64, 4, 32, 32) * 0.5, torch.arange(64) % 2
    x[present == 1, 1, rows, columns] += 2
    optimiser = torch.optim.Adam(classifier.parameters(), 0.01)
    for _ in range(40):
        logits, class_map = classifier(halve(x))
        loss = nn.functional.cross_entropy(logits, present)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return logits.detach(), class_map.detach(), present


def test_yes_and_no_alone_teach_the_shared_classifier_where_a_small_region_is() -> None:
    torch.manual_seed(0)
    logits, class_map, present = taught_by_yes_and_no(SharedClassifier(4, width=8), slice(8, 14), slice(12, 18))
    assert (logits.argmax(1) == present).float().mean() > 0.95
    peaks = class_map[present == 1].flatten(1).argmax(dim=1)
    away = ((peaks // 32 - 10.5) ** 2 + (peaks % 32 - 14.5) ** 2).sqrt()
    assert (away < 8).float().mean() > 0.9  # px; by chance, a fifth would be so near


def test_yes_and_no_alone_teach_the_pooled_classifier_all_of_a_region() -> None:
    torch.manual_seed(0)
    logits, class_map, present = taught_by_yes_and_no(pooled_classifier(4, width=8), slice(8, 20), slice(12, 26))
    assert (logits.argmax(1) == present).float().mean() > 0.95
    region = torch.zeros(16, 16, dtype=torch.bool)
    region[4:10, 6:13] = True
    marked = activation_map(class_map[present == 1], 16) >= 0.5
    overlap = 2 * (marked & region).sum(dim=(1, 2)) / (marked.sum(dim=(1, 2)) + region.sum())
    assert overlap.mean() > 0.8
