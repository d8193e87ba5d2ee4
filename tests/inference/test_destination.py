from __future__ import annotations

from pathlib import Path

from sammix.inference.destination import Destination
from sammix.inference.shared_folder import SharedFolder


def test_a_folder_is_one(tmp_path: Path) -> None:
    to: Destination = SharedFolder(tmp_path)
    to.write("a/b.json", "{}")
    assert (to.read("a/b.json"), to.read("a/c.json"), to.read_all("a"), to.files()) == (
        "{}",
        None,
        {"b.json": "{}"},
        set(),
    )
    (to.staging / "mask").touch()
    to.deliver(["mask"])
    assert to.files() == {"mask"}
