from __future__ import annotations

import sys

import pytest
import torch

from sammix.config import load_preset
from sammix.data.preprocess import Preprocess
from sammix.models.registry import build_model
from sammix.networks.counts import BASELINES, describe_models, parameter_counts


def test_the_numbers_of_the_papers() -> None:
    counts = {(row.name, row.part): row.millions for row in parameter_counts().parts}
    assert round(counts["ResNet-38", "classifier with two-class head"], 2) == 105.08
    assert counts["SAM ViT-B", "LoRA on q and v, rank 8"] == 0.294912
    assert counts["SAM ViT-B", "mask decoder"] == counts["LiteMedSAM", "mask decoder"] == 4.05834
    assert counts["SAM ViT-B", "prompt encoder"] == 0.00622
    assert round(counts["SAM ViT-B", "image encoder (frozen)"], 2) == 89.67  # SAM's own ViT-B


@pytest.mark.parametrize(
    ("name", "millions"),
    [("unet", 1.963), ("unet-standard", 31.379), ("multimix", 1.965), ("transunet", 105.316), ("nnunet-style", 33.463)],
)
def test_parameters_are_as_stated(name: str, millions: float) -> None:
    counts = {row.name: row.millions for row in parameter_counts().parts}
    assert round(counts[name], 3) == millions


def test_the_table_has_a_line_for_every_part() -> None:
    head, *lines = describe_models().splitlines()
    assert head.split() == ["network", "part", "parameters", "millions"]
    assert len(lines) == len(parameter_counts().parts)
    assert {line.split()[0] for line in lines} > set(BASELINES)
    assert all(line.split()[-2].replace(",", "").isdigit() for line in lines)


def test_a_network_that_is_not_installed_is_left_out_and_named(monkeypatch: pytest.MonkeyPatch) -> None:
    everything = describe_models().splitlines()
    monkeypatch.setitem(sys.modules, "monai", None)
    for name in [name for name in sys.modules if name.startswith("monai.")]:
        monkeypatch.delitem(sys.modules, name)
    *lines, last = describe_models().splitlines()
    assert lines == [line for line in everything if not line.startswith("nnunet-style")]
    assert last.startswith("nnunet-style is left out: the nnunet-style network needs packages")
    assert last.endswith('pip install "sammix[baselines]"')


def test_the_presets_build_what_is_counted() -> None:
    counts = {row.name: row.millions for row in parameter_counts().parts}
    for name in BASELINES:
        with torch.device("meta"):
            network, base = build_model(load_preset(name), Preprocess())
        assert base is None
        assert sum(p.numel() for p in network.parameters()) / 1e6 == counts[name]
