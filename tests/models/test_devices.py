from __future__ import annotations

import pytest
import torch

from sammix.errors import ConfigError
from sammix.models.devices import frozen_dtype, pick_device, trainable_attention, training_precision

CPU = torch.device("cpu")


def test_the_cpu_is_always_there() -> None:
    assert pick_device("cpu") == CPU
    assert pick_device("auto").type in ("cpu", "cuda", "mps")


@pytest.mark.parametrize("name", ["tpu", "cuda:99", "cpu:1", "cpu:x", "", "cuda:-1"])
def test_a_device_that_is_not_there_is_one_clear_line(name: str) -> None:
    with pytest.raises(ConfigError, match=f"device '{name}' is not available here"):
        pick_device(name)


@pytest.mark.parametrize("setting", ["32-true", "16-mixed"])
def test_what_was_asked_for_holds_for_the_frozen_stages_too(setting: str) -> None:
    assert training_precision(setting, CPU) == setting
    assert frozen_dtype(setting, CPU) is torch.float32


def test_auto_is_bfloat16_only_where_it_pays(monkeypatch: pytest.MonkeyPatch) -> None:
    for pays, precision, dtype in ((True, "bf16-mixed", torch.bfloat16), (False, "32-true", torch.float32)):
        monkeypatch.setattr("sammix.models.devices.bfloat16_pays", lambda device, pays=pays: pays)
        assert training_precision("auto", CPU) == precision
        assert frozen_dtype(training_precision("auto", CPU), CPU) is dtype


def test_attention_as_plain_products_gives_the_same() -> None:
    q, k, v = (torch.randn(1, 2, 5, 4, requires_grad=True) for _ in range(3))
    before = torch.backends.cuda.fp16_bf16_reduction_math_sdp_allowed()
    with trainable_attention(CPU):
        plain = torch.nn.functional.scaled_dot_product_attention(q, k, v)
    torch.testing.assert_close(plain, torch.nn.functional.scaled_dot_product_attention(q, k, v))
    assert torch.backends.cuda.fp16_bf16_reduction_math_sdp_allowed() == before
