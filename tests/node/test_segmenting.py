"""In a circle with a real Orthanc: CT from it, through the node, and the segmentation back to it."""

from __future__ import annotations

import json
import re
import subprocess
import threading
import time
from pathlib import Path

import numpy as np
import pydicom
import pytest

from sammix.inference.scans import OutputOptions
from sammix.models.saved import load_model
from sammix.node import segmenting
from sammix.node.receiver import Listening, listening
from sammix.node.segmenting import Service
from sammix.node.sender import Peer, Stow, Unreachable
from sammix.node.series_queue import SeriesQueue

PATIENCE = 120  # seconds


@pytest.fixture(scope="module")
def model(tiny_run: Path):
    return load_model(tiny_run)


@pytest.fixture
def long_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is tried again within a test, however slow the machine is."""
    monkeypatch.setattr(segmenting, "FIRST_PAUSE", segmenting.LONGEST_PAUSE)


def arrived(queue: SeriesQueue, write_series, folder: Path, n: int, uid: str = "1.7.1") -> None:
    for file in sorted(write_series(folder, n=n, SeriesInstanceUID=uid, RescaleIntercept=-400).iterdir()):
        queue.add(uid, pydicom.dcmread(file).SOPInstanceUID, file)


def test_what_does_not_arrive_is_sent_again_with_the_same_uids_and_nothing_is_sent_twice(
    tmp_path: Path, write_series, model, pacs
) -> None:
    queue = SeriesQueue(tmp_path / "queue")
    send = Peer.read(f"PACS@127.0.0.1:{pacs.port}", "SAMMIX").send
    arrived(queue, write_series, tmp_path / "ct", 4)

    def service() -> Service:
        return Service(queue, model, OutputOptions("liver", "dicom-seg"), send, quiet=0.0)

    service().once()  # the PACS is down
    made = {path: path.read_bytes() for path in (tmp_path / "queue").rglob("*.seg.dcm")}
    assert len(made) == 1
    pacs.start()
    service().once()  # a node that was started anew
    (first,) = pacs.instances("SEG")
    assert {path: path.read_bytes() for path in (tmp_path / "queue").rglob("*.seg.dcm")} == made
    arrived(queue, write_series, tmp_path / "ct", 4)  # the same again
    service().once()
    assert len(pacs.instances("SEG")) == 1
    arrived(queue, write_series, tmp_path / "more", 6)  # late slices
    service().once()
    uids = {one["SOPInstanceUID"] for one in pacs.instances("SEG")}
    assert len(uids) == 2
    assert first["SOPInstanceUID"] in uids


def test_stow_arrives_too(tmp_path: Path, write_series, model, pacs) -> None:
    pacs.start()
    queue = SeriesQueue(tmp_path / "queue")
    arrived(queue, write_series, tmp_path / "ct", 4)
    wanted = OutputOptions("liver", "rtstruct")
    Service(queue, model, wanted, Stow(f"{pacs.url}/dicom-web").send, quiet=0.0).once()
    assert [one["Modality"] for one in pacs.instances("RTSTRUCT")] == ["RTSTRUCT"]


def test_what_else_is_called_ct_is_done_or_said_and_stops_no_other(
    tmp_path: Path, write_dicom, write_series, write_enhanced, model, caplog
) -> None:
    """An enhanced CT, a localizer, a picture without geometry, an object without pixels; and a series after them."""
    queue, sent = SeriesQueue(tmp_path / "queue"), list[Path]()
    plane = np.zeros((6, 4), np.uint16)
    enhanced = write_enhanced(write_series(tmp_path / "one"), tmp_path / "enhanced.dcm")
    across = {"ImageOrientationPatient": [1, 0, 0, 0, 0, -1], "ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}
    odd = {
        "1.6.1": enhanced,
        "1.6.2": write_dicom(tmp_path / "localizer.dcm", plane, **across),
        "1.6.3": write_dicom(tmp_path / "flat.dcm", plane, ImagePositionPatient=None, ImageOrientationPatient=None),
        "1.6.4": write_dicom(tmp_path / "empty.dcm", plane, PixelData=None),
    }
    for uid, file in odd.items():
        queue.add(uid, f"{uid}.1", file)
    arrived(queue, write_series, tmp_path / "ct", 4)
    service = Service(queue, model, OutputOptions("liver", "dicom-seg"), lambda one: sent.append(one) or "", quiet=0.0)
    service.once()
    service.once()
    assert {file.relative_to(queue.folder).parts[0] for file in sent} == {
        queue.series(uid).folder.name for uid in ("1.6.1", "1.7.1")
    }
    assert not list(queue.ready(0.0)), "nothing waits for ever"
    assert caplog.text.count("could not be segmented") == 3
    assert "secret" not in caplog.text.lower()


def test_what_cannot_be_segmented_is_said_once(tmp_path: Path, write_series, model, caplog) -> None:
    queue = SeriesQueue(tmp_path / "queue")
    arrived(queue, lambda folder, **tags: write_series(folder, **tags, step=0.0), tmp_path / "ct", 3)
    service = Service(queue, model, OutputOptions("liver", "dicom-seg"), lambda _: pytest.fail("sent"), quiet=0.0)
    service.once()
    service.once()
    assert caplog.text.count("could not be segmented") == 1
    assert "Secret" not in caplog.text
    assert list((tmp_path / "queue").glob("*/*.failed"))


def test_a_peer_that_cannot_be_reached_is_not_tried_for_each_series(
    tmp_path: Path, write_series, model, caplog, long_pauses
) -> None:
    """Each try may take a minute; the others are segmented meanwhile."""
    queue = SeriesQueue(tmp_path / "queue")
    for k in range(3):
        arrived(queue, write_series, tmp_path / f"ct{k}", 3, f"1.7.{k}")
    tries, down = list[Path](), [True]

    def send(file: Path) -> str:
        tries.append(file)
        if down:
            raise Unreachable("PACS cannot be found")
        return ""

    service = Service(queue, model, OutputOptions("liver", "dicom-seg"), send, quiet=0.0)
    service.once()
    service.once()
    assert len(tries) == 1
    assert len(list(queue.folder.glob("*/*/complete"))) == 3
    assert caplog.text.count("PACS cannot be found; next attempt in 300 s") == 1
    down.clear()
    assert service._unreachable is not None
    service._unreachable._until = 0.0
    service.once()
    assert len(set(tries)) == 3
    assert len(list(queue.folder.glob("*/*.sent"))) == 3


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("PACS answered with status 0xC000", "PACS answered with status 0xC000; next attempt in 300 s"),
        (OSError(28, "No space left on device"), r"the queue cannot be used \(No space left on device\); next attempt"),
        (KeyError("Secret^Name"), r"a fault of sammix itself \(KeyError\); please report it; next attempt in 300 s"),
    ],
)
def test_a_series_that_cannot_be_sent_stops_no_other(
    wrong: str | Exception, said: str, tmp_path: Path, write_series, model, caplog, long_pauses
) -> None:
    queue = SeriesQueue(tmp_path / "queue")
    for k in range(2):
        arrived(queue, write_series, tmp_path / f"ct{k}", 3, f"1.7.{k}")
    tries = list[Path]()

    def send(file: Path) -> str:
        tries.append(file)
        if len(tries) > 1:
            return ""
        if isinstance(wrong, Exception):
            raise wrong
        return wrong

    service = Service(queue, model, OutputOptions("liver", "dicom-seg"), send, quiet=0.0)
    service.once()
    service.once()
    assert (len(tries), len(list(queue.folder.glob("*/*.sent")))) == (2, 1)
    assert re.search(said, caplog.text)
    assert "Secret" not in caplog.text


def test_a_series_for_which_there_is_no_room_or_which_another_model_began_is_not_lost(
    tmp_path: Path, write_series, model, caplog, monkeypatch
) -> None:
    queue, sent = SeriesQueue(tmp_path / "queue"), list[Path]()
    arrived(queue, write_series, tmp_path / "ct", 3)

    def once(sha256: str) -> None:
        wanted = OutputOptions("liver", "dicom-seg", model_sha256=sha256)
        Service(queue, model, wanted, lambda file: sent.append(file) or "", quiet=0.0).once()

    with monkeypatch.context() as full:
        full.setattr(segmenting, "ROOM", 2**60)
        once("a")
    assert "MB are free on the disk; free some; next attempt in 5 s" in caplog.text
    with monkeypatch.context() as killed:
        killed.setattr(Path, "touch", raiser(KeyboardInterrupt))  # before it could note that all is made
        with pytest.raises(KeyboardInterrupt):
            once("a")
    once("b")
    assert "was made by model" in caplog.text
    assert not sent
    once("b")
    assert len(sent) == 1
    assert not list(queue.folder.glob("*/*.failed"))


def raiser(error: type[BaseException]):
    def refuse(*_: object) -> None:
        raise error

    return refuse


def test_a_node_that_is_killed_while_it_works_loses_nothing(
    tmp_path: Path, write_series, tiny_run: Path, pacs, start_sammix
) -> None:
    """From Orthanc to the program and back; it is killed with some series done, and started again."""
    count = 5
    words = ["node", "--aet", "SAMMIX", "--queue", tmp_path / "queue", "--send-to", f"PACS@127.0.0.1:{pacs.port}"]
    words += ["--model", tiny_run, "--port", 0, "--wait", 0.5, "--device", "cpu", "--allow", "PACS"]
    told: list[str] = []

    def start() -> tuple[subprocess.Popen[str], int]:
        process = start_sammix(*words)
        assert process.stderr is not None
        late = threading.Timer(PATIENCE, process.kill)
        late.start()
        for line in process.stderr:
            told.append(line)
            if " listens on " in line:
                late.cancel()
                return process, int(line.rsplit(":", 1)[1])
        raise AssertionError("".join(told))

    pacs.start()
    first, port = start()
    for k in range(count):
        for file in write_series(tmp_path / f"ct{k}", n=3, SeriesInstanceUID=f"1.8.{k}").iterdir():
            pacs.upload(file)
    pacs.modality("NODE", ["SAMMIX", "127.0.0.1", port])
    for one in pacs.get("/series"):
        pacs.post("/modalities/NODE/store", one)
    pacs.wait_for("SEG", 2)
    first.kill()
    told += first.communicate(timeout=PATIENCE)[1].splitlines(keepends=True)
    second, _ = start()
    found = pacs.wait_for("SEG", count)
    second.terminate()
    told += second.communicate(timeout=PATIENCE)[1].splitlines(keepends=True)
    assert len(found) == len({one["SOPInstanceUID"] for one in found}) == count, "".join(told)
    assert len({one["SeriesInstanceUID"] for one in found}) == count
    assert second.returncode == 143
    assert not any("secret" in line.lower() for line in told)


def test_the_rule_that_the_documentation_gives_lets_orthanc_send_and_take_back(
    tmp_path: Path, write_series, model, pacs
) -> None:
    """The code of docs/pacs.md, as it stands there, with this test's port."""
    page = (Path(__file__).parents[2] / "docs" / "pacs.md").read_text()
    settings, rule = (re.search(rf"^```{kind}\n(.*?)^```", page, re.DOTALL | re.MULTILINE) for kind in ("json", "lua"))
    assert settings is not None
    assert rule is not None
    (script := tmp_path / "to-sammix.lua").write_text(rule[1])
    queue = SeriesQueue(tmp_path / "queue")
    with listening(Listening("SAMMIX", port=0, allowed=["PACS"]), queue) as port:
        said = json.loads(f"{{{settings[1]}}}".replace("to-sammix.lua", str(script)).replace("11112", str(port)))
        pacs.start(**said, StableAge=1)
        for file in write_series(tmp_path / "ct", n=3, SeriesInstanceUID="1.9.1").iterdir():
            pacs.upload(file)
        end = time.monotonic() + PATIENCE
        while len(list(queue.series("1.9.1").received.glob("*.dcm"))) < 3 and time.monotonic() < end:
            time.sleep(0.1)
        send = Peer.read(f"PACS@127.0.0.1:{pacs.port}", "SAMMIX").send
        Service(queue, model, OutputOptions("liver", "dicom-seg"), send, quiet=0.0).once()
    assert [one["Modality"] for one in pacs.instances("SEG")] == ["SEG"]


def test_series_that_come_all_at_once_are_each_answered_once(tmp_path: Path, tiny_run: Path, benchmark) -> None:
    """A hundred are sent by benchmarks/hundred_series.py.

    On a busy machine a sender's association may break off at its own end; it sends again, as a scanner does.
    """
    script = benchmark("hundred_series")
    arrived, _, said = script.circle(tiny_run, tmp_path, series=12, slices=3)
    assert arrived == {f"1.9.{k}": 1 for k in range(12)}
    assert not script.turned_away(said), "the node takes all"
