"""A product with a bias: as exact as bfloat16 allows where it is used, and torch's own elsewhere."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
import torch.nn.functional as F

from sammix.networks.sam import linear
from sammix.networks.sam.linear import Linear


@pytest.fixture(autouse=True)
def found_anew() -> Iterator[None]:
    linear._product.cache_clear()
    yield
    linear._product.cache_clear()


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(5, 7), (1, 3, 4, 7), (2, 1, 7)])
def test_without_gradient_the_product_is_rounded_once(shape: tuple[int, ...], bias: bool) -> None:
    layer = Linear(7, 9, bias=bias).bfloat16()
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0)).bfloat16()
    with torch.inference_mode():
        for given in (x, x.transpose(0, -2)):
            exact = F.linear(given.float(), layer.weight.float(), None if layer.bias is None else layer.bias.float())
            torch.testing.assert_close(layer(given).float(), exact, rtol=2**-8, atol=1e-6)


def test_a_gradient_other_dtypes_and_mixed_precision_take_torchs_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linear, "_product", lambda: pytest.fail("the product has no gradient"))
    layer, x = Linear(7, 9), torch.ones(2, 7)
    layer(x).sum().backward()
    assert layer.weight.grad is not None
    with torch.inference_mode():
        assert layer(x).dtype == torch.float32
        with torch.autocast("cpu", torch.bfloat16):
            assert layer(x).dtype == torch.bfloat16


@pytest.mark.parametrize("error", [AttributeError, RuntimeError, TypeError])
def test_where_torch_has_no_such_product_the_result_is_the_same(
    error: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    layer, x = Linear(7, 9).bfloat16(), torch.ones(2, 7).bfloat16()
    with torch.inference_mode():
        before = layer(x)

    def gone(*_: object) -> None:
        raise error

    linear._product.cache_clear()
    monkeypatch.setattr(torch.ops.mkldnn, "_linear_pointwise", gone)
    with torch.inference_mode():
        assert linear._product() is None
        assert torch.equal(layer(x), before)
