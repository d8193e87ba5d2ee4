"""What a running node does is tested in tests/node/test_segmenting.py."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ([], "name --send-to or --stow"),
        (["--send-to", "PACS@127.0.0.1:104", "--stow", "http://x"], "one of them"),
        (["--send-to", "nonsense"], "AET@host:port"),
        (["--stow", "http://x", "--format", "nifti"], "dicom-seg or rtstruct"),
        (["--stow", "http://x", "--host", "0.0.0.0"], "name the AE titles"),
    ],
)
def test_what_cannot_be_is_refused_at_once(more: list[str], said: str, tmp_path: Path, run, capsys) -> None:
    assert run("node", "--aet", "SAMMIX", "--queue", tmp_path / "queue", *more) == 2
    assert said in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "queue").exists()
