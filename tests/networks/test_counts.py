from __future__ import annotations

from sammix.networks.counts import parameter_counts


def test_the_numbers_of_the_papers() -> None:
    counts = {(row.name, row.part): row.millions for row in parameter_counts()}
    assert round(counts["ResNet-38", "classifier with two-class head"], 2) == 105.08
    assert counts["SAM ViT-B", "LoRA on q and v, rank 8"] == 0.294912
    assert counts["SAM ViT-B", "mask decoder"] == counts["LiteMedSAM", "mask decoder"] == 4.05834
    assert counts["SAM ViT-B", "prompt encoder"] == 0.00622
    assert round(counts["SAM ViT-B", "image encoder (frozen)"], 2) == 89.67  # SAM's own ViT-B
