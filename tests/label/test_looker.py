from __future__ import annotations

import threading
from multiprocessing import Pipe
from pathlib import Path
from typing import Any

import numpy as np

from sammix.label.looker import run_looker
from sammix.label.means import Means
from sammix.label.proposals import Asked, Proposed


def all_work(work: Means, asked: Asked) -> list[tuple[Any, ...]]:
    """Run it in a thread, ask it once, and hear all that it says until its work is done."""
    ours, theirs = Pipe()
    thread = threading.Thread(target=run_looker, args=(theirs, work), daemon=True)
    thread.start()
    ours.send(("propose", 7, asked))
    messages: list[tuple[Any, ...]] = []
    while not messages or messages[-1] != ("progress", "", 0, 0):
        assert ours.poll(120), "it says nothing any more"
        messages.append(ours.recv())
        assert messages[-1][0] != "failed", messages[-1]
    ours.close()
    thread.join(30)
    return messages


def test_it_proposes_prepares_looks_and_keeps_features(scans: Path, tiny_run: Path, tmp_path: Path) -> None:
    asked = Asked(np.zeros((72, 72), np.int16), (1.0, 1.0), "auto")
    work = Means(scans, "liver", tmp_path, tiny_run, "tiny", threads=1)
    told = all_work(work, asked)
    kinds = [message[0] for message in told]
    assert kinds[0] == "using"
    number, proposed = next(message[1:] for message in told if message[0] == "proposed")
    assert number == 7
    assert isinstance(proposed, Proposed)
    seen = {(case, k) for message in told if message[0] == "looks" for case, of in message[2].items() for k, *_ in of}
    assert seen == {(f"volume-{n}", k) for n in range(3) for k in range(12)}
    assert (tmp_path / "cache/slices.h5").is_file()
    (features,) = (tmp_path / "cache/features").glob("*/features.f16")
    assert features.stat().st_size > 0


def test_during_a_quick_pass_it_only_answers(scans: Path, tiny_run: Path, tmp_path: Path) -> None:
    asked = Asked(np.zeros((72, 72), np.int16), (1.0, 1.0), "auto")
    ours, theirs = Pipe()
    ours.send(("training", "quick"))
    ours.send(("propose", 1, asked))
    work = Means(scans, "liver", tmp_path, tiny_run, "tiny", threads=1)
    threading.Thread(target=run_looker, args=(theirs, work), daemon=True).start()
    kinds = set[str]()
    while ours.poll(3 if "proposed" in kinds else 120):  # so long nothing but the preparing of scans is heard of
        kind, what, *_ = ours.recv()
        kinds.add(kind)
        assert kind in ("using", "proposed") or what == "preparing scans"
    assert "proposed" in kinds
    ours.send(("training", None))
    while "looks" not in kinds:
        assert ours.poll(120), "it goes on"
        kinds.add(ours.recv()[0])
    ours.close()


def test_during_a_full_fit_it_goes_on_and_leaves_the_cache_alone(scans: Path, tiny_run: Path, tmp_path: Path) -> None:
    ours, theirs = Pipe()
    ours.send(("training", "full"))
    work = Means(scans, "liver", tmp_path, tiny_run, "tiny", threads=1)
    threading.Thread(target=run_looker, args=(theirs, work), daemon=True).start()
    heard: tuple[Any, ...] = ()
    while heard[:2] != ("progress", "doubting slices"):
        assert ours.poll(120), "it says nothing any more"
        heard = ours.recv()
        assert heard[0] != "failed", heard
    assert not list((tmp_path / "cache/features").glob("*/features.f16"))
    ours.close()


def test_a_model_that_is_not_there_is_said(scans: Path, tmp_path: Path) -> None:
    ours, theirs = Pipe()
    run_looker(theirs, Means(scans, "liver", tmp_path, tmp_path / "none", "tiny", threads=1))
    kind, why = ours.recv()
    assert kind == "failed"
    assert "does not exist" in why
