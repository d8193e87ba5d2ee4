from __future__ import annotations

import torch
from torch import nn

from sammix.nets.classifier import PRESENT, CAMClassifier, SharedHead


def test_pooling_and_head_commute() -> None:
    """The paper's eq. 2 (pool, then classify) and eq. 4 (the map) from the same weights."""
    torch.manual_seed(0)
    classifier, features = CAMClassifier(None, 6), torch.randn(3, 6, 5, 4)
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
    plain = CAMClassifier(None, head.in_features)
    plain.head = head
    return plain


def test_the_shared_head_makes_maps_of_the_embedding() -> None:
    head = SharedHead(in_channels=16, widths=(24, 10), strides=(2, 1))
    features = head(torch.randn(2, 16, 64, 64))
    assert features.shape == (2, head.out_channels, 32, 32)
    assert head.out_channels == 10


def test_the_shared_head_learns_to_see_a_small_bright_region() -> None:
    torch.manual_seed(0)
    x, present = torch.randn(64, 4, 16, 16) * 0.5, torch.arange(64) % 2
    x[present == 1, 1, 4:8, 6:10] += 2
    classifier = CAMClassifier(SharedHead(4, (8, 8), (2, 1)), 8)
    optimiser = torch.optim.Adam(classifier.parameters(), 0.01)
    for _ in range(60):
        logits, _ = classifier(x)
        loss = nn.functional.cross_entropy(logits, present)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert (logits.argmax(1) == present).float().mean() > 0.95
