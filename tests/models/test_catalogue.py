from __future__ import annotations

import re
from pathlib import Path

from sammix.config import ModelConfig
from sammix.models.catalogue import CATALOGUE, Url


def test_every_entry_can_be_held_to_something() -> None:
    for name, entry in CATALOGUE.items():
        assert entry.name == name
        assert entry.licence
        assert 0 < entry.sizes[0] <= entry.sizes[1]
        assert entry.sha256 is None or re.fullmatch(r"[0-9a-f]{64}", entry.sha256)
        assert not isinstance(entry.source, Url) or entry.source.url.startswith("https://")
    assert len({entry.file for entry in CATALOGUE.values()}) == len(CATALOGUE)


def test_every_encoder_that_is_pretrained_is_in_it() -> None:
    encoders = ModelConfig.model_fields["encoder"].annotation.__args__  # type: ignore[union-attr]
    assert set(encoders) - {"tiny"} == set(CATALOGUE)


def test_the_documentation_says_the_same_sizes() -> None:
    root = Path(__file__).parents[2]
    pages = [root / "README.md", *root.glob("docs/*.md"), *root.glob("src/sammix/models/shipped/*/MODEL_CARD.md")]
    text = " ".join(" ".join(page.read_text(encoding="utf-8").split()) for page in pages)
    lite = re.findall(r"(\d+) MB of (?:LiteMedSAM|pretrained weights)|LiteMedSAM's own weights \((\d+) MB", text)
    assert {int(one or other) for one, other in lite} == {round(CATALOGUE["lite-medsam"].sizes[0] / 1e6)}
    low, high = CATALOGUE["sam-vit-b"].sizes
    assert all(low < int(size) * 1e6 < high for size in re.findall(r"SAM ViT-B, (\d+) MB", text))
