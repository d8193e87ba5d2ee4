"""What arrives at a PACS is tested in test_segmenting.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from sammix.errors import ConfigError
from sammix.node.sender import Peer, Stow


@pytest.mark.parametrize("text", ["PACS", "PACS@host", "@host:104", "PACS@host:0", "PACS@host:99999", "A\\B@host:104"])
def test_what_is_no_peer_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="AET@host:port"):
        Peer.read(text, "SAMMIX")


def test_a_peer_that_is_down_is_named(tmp_path: Path, write_series) -> None:
    file = next(write_series(tmp_path / "ct").iterdir())
    assert Peer.read("PACS@127.0.0.1:9", "SAMMIX").send(file).startswith("PACS at 127.0.0.1:9 did not accept")
    assert Stow("http://127.0.0.1:9/dicom-web").send(file).startswith("http://127.0.0.1:9/dicom-web did not take it")
