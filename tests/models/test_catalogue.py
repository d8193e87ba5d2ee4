from __future__ import annotations

import re

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
