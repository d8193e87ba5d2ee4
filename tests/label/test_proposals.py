from __future__ import annotations

import numpy as np
import pytest
import torch

from sammix.config import load_preset
from sammix.data.preprocess import Preprocess
from sammix.label.proposals import Asked, propose, region_of
from sammix.models.registry import build_model
from sammix.networks.interface import Network

AROUND = np.hypot(*(np.indices((64, 64)) - 32))


@pytest.fixture(scope="module")
def network() -> Network:
    torch.manual_seed(0)
    return build_model(load_preset("tiny"), Preprocess(size=64))[0].eval()


@pytest.mark.parametrize("shape", [(64, 64), (50, 80)])
@pytest.mark.parametrize("kind", ["box", "points", "auto"])
def test_a_proposal_has_the_slices_own_pixels(network: Network, kind: str, shape: tuple[int, int]) -> None:
    hu = np.random.default_rng(0).integers(-200, 300, shape).astype(np.int16)
    asked = Asked(hu, (0.8, 0.8), kind, (5, 5, 30, 30), ((12, 20, 1), (40, 4, 0)))  # type: ignore[arg-type]
    found = propose(network, asked)
    assert found.mask.shape == shape
    assert found.mask.dtype == bool
    if kind == "auto":
        assert found.cam is not None
        assert found.cam.shape == shape
        assert found.presence is not None
        assert 0 <= found.presence <= 1
    else:
        assert (found.cam, found.presence) == (None, None)


def test_a_box_lies_where_it_was_drawn(network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[torch.Tensor] = []
    segment = type(network).segment

    def spy(self, encoding, boxes=None, prompt="cam"):
        seen.append(boxes)
        return segment(self, encoding, boxes, prompt)

    monkeypatch.setattr(type(network), "segment", spy)
    propose(network, Asked(np.zeros((32, 64), np.int16), (1.0, 1.0), "box", (0, 0, 63, 31)))
    np.testing.assert_allclose(seen[0].numpy(), [[0, 16, 63, 47]], atol=1e-4)


def test_a_click_means_what_is_as_grey_around_it() -> None:
    image = np.where(AROUND < 14, 0.6, 0.2).astype(np.float32)
    region = region_of(image, np.array([[32, 32]]), np.array([1]))
    assert not (region & (AROUND >= 14)).any()
    assert region.sum() > 0.7 * (AROUND < 14).sum()  # SAM finds the edge
    half = region_of(image, np.array([[26, 32], [40, 32]]), np.array([1, 0]))
    assert half.any()
    assert not half[:, 36:].any()
    assert region_of(image, np.array([[900, -3]]), np.array([1])).any()  # beside the picture: its edge
