"""On a folder, which obstore offers as an object store; the network is tested in tests/whole/test_object_store.py."""

from __future__ import annotations

import pickle
import time
from pathlib import Path

import pytest

from sammix.errors import OutputError
from sammix.inference.destination import WORK, Destination
from sammix.inference.shared_bucket import SharedBucket


def bucket(folder: Path, lease: float = 60) -> SharedBucket:
    return SharedBucket(f"file://{folder}", lease)


def test_it_is_a_destination(tmp_path: Path) -> None:
    to: Destination = pickle.loads(pickle.dumps(bucket(tmp_path)))
    to.write("a/b.json", "{}")
    assert (to.read("a/b.json"), to.read("a/c.json"), to.read_all("a"), to.files()) == (
        "{}",
        None,
        {"b.json": "{}"},
        set(),
    )
    (to.staging / "mask").write_text("x")
    to.deliver(["mask"])
    assert to.files() == {"mask"}
    assert not list(to.staging.iterdir())
    (to.staging / "pictures").mkdir()
    for name in ("pictures/a.jpg", "pictures/b.jpg"):
        (to.staging / name).write_text("x")
    to.deliver(["pictures/a.jpg"])
    assert to.read("pictures/a.jpg") == "x"
    to.withdraw(["pictures/a.jpg", "pictures/b.jpg", "pictures/c.jpg"])
    assert to.read("pictures/a.jpg") is None
    assert not list((to.staging / "pictures").iterdir())
    with to.alone() as mine, to.present():
        assert mine
    with pytest.raises(OutputError, match="not empty"):
        to.check(allowed=False, shared=True)
    to.write(f"{WORK}/scans/a.json", "{}")
    to.forget()
    assert to.read_all(f"{WORK}/scans") == {}


def test_a_claim_is_held_by_one(tmp_path: Path) -> None:
    with (
        bucket(tmp_path).claimed("a") as mine,
        bucket(tmp_path).claimed("a") as other,
        bucket(tmp_path).claimed("ab") as b,
    ):
        assert (mine, other, b) == (1, None, 1)
    with bucket(tmp_path).claimed("a") as again:
        assert again == 1


def test_a_claim_that_is_not_written_again_is_taken_over_and_counted(tmp_path: Path) -> None:
    to = bucket(tmp_path, lease=0.2)
    to._store.create(f"{WORK}/claims/a/001", b"")  # by one who was killed
    with to.claimed("a") as first:
        assert first is None
    time.sleep(0.3)
    with to.claimed("a") as second:
        assert second == 2
    with to.claimed("a") as fresh:
        assert fresh == 1


def test_a_claim_that_is_held_for_long_stays(tmp_path: Path) -> None:
    one, other = bucket(tmp_path, lease=0.4), bucket(tmp_path, lease=0.4)
    with one.claimed("a"):
        for _ in range(8):
            with other.claimed("a") as theirs:
                assert theirs is None
            time.sleep(0.15)


def test_what_this_runs_workers_held_when_they_were_ended_is_free_at_once(tmp_path: Path) -> None:
    driver = bucket(tmp_path)
    worker, stranger = pickle.loads(pickle.dumps(driver)), bucket(tmp_path)
    for one, name in ((worker, "a"), (stranger, "b")):
        assert one._claim(name) == 1  # and then it was killed
    driver.release({"a", "b"})
    with bucket(tmp_path).claimed("a") as mine, bucket(tmp_path).claimed("b") as theirs:
        assert (mine, theirs) == (1, None)
