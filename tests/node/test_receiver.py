from __future__ import annotations

import socket
import tempfile
import threading
from contextlib import ExitStack, suppress
from itertools import count
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.uid import (
    MPEG2MPML,
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
    EnhancedCTImageStorage,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    MRImageStorage,
    RLELossless,
    RTStructureSetStorage,
    SecondaryCaptureImageStorage,
    SegmentationStorage,
)
from pynetdicom import AE
from pynetdicom.sop_class import Verification
from pynetdicom.transport import ThreadedAssociationServer
from tests.patience import until

from sammix.errors import ConfigError, SammixError
from sammix.node import receiver
from sammix.node.receiver import DOES_NOT_MATCH, OUT_OF_RESOURCES, Listening, listening
from sammix.node.series_queue import SeriesQueue


def test_what_is_stored_is_on_the_disk_and_its_name_in_no_log(
    tmp_path: Path, write_series, store, caplog: pytest.LogCaptureFixture, capfd
) -> None:
    files = sorted(write_series(tmp_path / "ct").iterdir())
    queue = SeriesQueue(tmp_path / "queue")
    with listening(Listening("SAMMIX", port=0, allowed=["CT1"]), queue) as port:
        assert store(port, files) == [0] * 5
        assert store(port, files, calling="STRANGER") == [None]
        assert store(port, files, called="OTHER") == [None]
        entity = AE(ae_title="CT1")
        entity.add_requested_context(Verification)
        association = entity.associate("127.0.0.1", port, ae_title="SAMMIX")
        assert association.send_c_echo().Status == 0
        association.release()
    series = queue.series("1.2.3")
    assert len(list(series.received.iterdir())) == 5
    shown = caplog.text + "".join(capfd.readouterr())
    assert "an association was rejected" in shown
    assert "Secret" not in shown
    assert "SECRET" not in shown


def test_all_who_may_be_served_at_once_may_call_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the node is busy their calls wait with the system, which drops those for which it was given no room."""
    busy = threading.Event()
    monkeypatch.setattr(ThreadedAssociationServer, "process_request", lambda *_: busy.wait())
    with ExitStack() as callers, listening(Listening("SAMMIX", port=0), SeriesQueue(tmp_path / "queue")) as port:
        try:
            for _ in range(40):
                callers.enter_context(socket.create_connection(("127.0.0.1", port), timeout=5))
        finally:
            busy.set()


def test_an_association_that_breaks_off_is_noted_until_the_next_one(tmp_path: Path, write_series, store) -> None:
    files = sorted(write_series(tmp_path / "ct").iterdir())
    queue = SeriesQueue(tmp_path / "queue")
    with listening(Listening("SAMMIX", port=0), queue) as port:
        store(port, files[:2], abort=True)
    assert (queue.series("1.2.3").folder / "cut").exists()
    with listening(Listening("SAMMIX", port=0), queue) as port:
        store(port, files)
    assert not (queue.series("1.2.3").folder / "cut").exists()


def test_an_instance_that_changed_is_told_apart_from_one_that_comes_again(
    tmp_path: Path, write_series, store, caplog: pytest.LogCaptureFixture
) -> None:
    (file, *_) = sorted(write_series(tmp_path / "ct").iterdir())
    with listening(Listening("SAMMIX", port=0), SeriesQueue(tmp_path / "queue")) as port:
        assert store(port, [file], calling="CT1") == store(port, [file], calling="CT2") == [0]
        assert not caplog.text
        changed = pydicom.dcmread(file)
        changed.PatientName = "Secret^Changed"
        changed.save_as(file)
        assert store(port, [file]) == [0]
    assert "an instance came again with other content" in caplog.text


def test_a_series_is_being_brought_until_its_association_ends(tmp_path: Path, write_series) -> None:
    (file, *_) = sorted(write_series(tmp_path / "ct").iterdir())
    queue = SeriesQueue(tmp_path / "queue", clock=count(step=100.0).__next__)  # 100 s from one look to the next
    entity = AE(ae_title="CT1")
    entity.add_requested_context(CTImageStorage)
    with listening(Listening("SAMMIX", port=0), queue) as port:
        association = entity.associate("127.0.0.1", port, ae_title="SAMMIX")
        assert association.send_c_store(pydicom.dcmread(file)).Status == 0
        series = queue.series("1.2.3")
        assert not list(queue.ready(60))
        association.release()
        until(lambda: list(queue.ready(60)) == [series], 60)


def offered(port: int, *contexts: tuple[str, list[str]]) -> list[str]:
    """Offer kinds of objects, each in some transfer syntaxes: which of them the node takes."""
    entity = AE(ae_title="CT1")
    for kind, syntaxes in contexts:
        entity.add_requested_context(kind, syntaxes)
    association = entity.associate("127.0.0.1", port, ae_title="SAMMIX")
    taken = [str(context.abstract_syntax) for context in association.accepted_contexts]
    if association.is_established:
        association.release()
    return taken


def test_what_is_no_ct_is_not_taken_and_a_sender_of_nothing_else_is_told_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    others = (MRImageStorage, SegmentationStorage, SecondaryCaptureImageStorage, RTStructureSetStorage)
    plain = [ExplicitVRLittleEndian]
    with listening(Listening("SAMMIX", port=0), SeriesQueue(tmp_path / "queue")) as port:
        kinds = [(kind, plain) for kind in (*others, "1.2.826.0.1.3680043.9.9", CTImageStorage)]
        assert offered(port, *kinds) == [CTImageStorage]
        assert not caplog.text, "whoever sends CT may offer whatever it has beside"
        assert offered(port, (MRImageStorage, plain), ("1.2.826.0.1.3680043.9.9", plain)) == []
        until(lambda: "offers nothing that is taken here: MR Image Storage, a private kind" in caplog.text, 60)
    assert "3680043" not in caplog.text


def test_an_enhanced_ct_is_taken(tmp_path: Path, write_series, write_enhanced) -> None:
    image = pydicom.dcmread(write_enhanced(write_series(tmp_path / "ct"), tmp_path / "enhanced.dcm"))
    queue = SeriesQueue(tmp_path / "queue")
    with listening(Listening("SAMMIX", port=0), queue) as port:
        assert offered(port, (EnhancedCTImageStorage, [ExplicitVRLittleEndian])) == [EnhancedCTImageStorage]
        entity = AE(ae_title="CT1")
        entity.add_requested_context(image.SOPClassUID, image.file_meta.TransferSyntaxUID)
        association = entity.associate("127.0.0.1", port, ae_title="SAMMIX")
        assert association.send_c_store(image).Status == 0
        association.release()
    assert len(list(queue.series(image.SeriesInstanceUID).received.iterdir())) == 1


def test_transfer_syntaxes_that_cannot_be_read_are_not_taken(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A sender that has others, too, sends in one of those."""
    odd = [MPEG2MPML, "1.2.840.10008.1.2.4.112", "1.2.840.10008.1.2.4.94", "1.2.826.0.1.3680043.9.9.1"]
    with listening(Listening("SAMMIX", port=0), SeriesQueue(tmp_path / "queue")) as port:
        assert offered(port, (CTImageStorage, odd)) == []
        until(lambda: "offers nothing that is taken here: CT Image Storage" in caplog.text, 60)
        for syntax in (JPEG2000Lossless, RLELossless, DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian):
            assert offered(port, (CTImageStorage, [*odd, syntax])) == [CTImageStorage]


def test_what_calls_itself_ct_and_is_none_is_refused(
    tmp_path: Path, write_series, store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """An MR image, sent under the name of a CT image; the CT of the same association is kept."""
    files = sorted(write_series(tmp_path / "ct", n=2).iterdir())
    mr = pydicom.dcmread(files[0])
    mr.SOPClassUID, mr.Modality, mr.SeriesInstanceUID = MRImageStorage, "MR", "1.2.99"
    pydicom.dcmwrite(tmp_path / "mr.dcm", mr, enforce_file_format=False)
    monkeypatch.setattr("pynetdicom._config.STORE_SEND_CHUNKED_DATASET", True)  # which takes the kind of a file's head
    entity = AE(ae_title="CT1")
    entity.add_requested_context(CTImageStorage, [ExplicitVRLittleEndian])
    queue = SeriesQueue(tmp_path / "queue")
    with listening(Listening("SAMMIX", port=0), queue) as port:
        association = entity.associate("127.0.0.1", port, ae_title="SAMMIX")
        sent = (files[0], tmp_path / "mr.dcm", files[1])
        assert [association.send_c_store(file).Status for file in sent] == [0, DOES_NOT_MATCH, 0]
        association.release()
    assert "refused an object that is not of the kind it is called" in caplog.text
    assert len(list(queue.series("1.2.3").received.iterdir())) == 2
    assert not queue.series("1.2.99").folder.exists()


def test_sizes_are_bounded(tmp_path: Path, write_series, store) -> None:
    files = sorted(write_series(tmp_path / "ct").iterdir())
    queue = SeriesQueue(tmp_path / "queue")
    with listening(Listening("SAMMIX", port=0, free=10**9), queue) as port:
        assert store(port, files[:1]) == [OUT_OF_RESOURCES]
    with listening(Listening("SAMMIX", port=0, largest_series=0), queue) as port:
        assert store(port, files[:3]) == [0, OUT_OF_RESOURCES, OUT_OF_RESOURCES]
    with listening(Listening("SAMMIX", port=0, largest_object=0), queue) as port:
        assert store(port, files[:1]) == [OUT_OF_RESOURCES]


def cut_after(count: int, port: int, files: list[Path], called: str = "SAMMIX") -> list[int | None]:
    """Send files through a line that is cut after ``count`` bytes: the status of each."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def pass_on() -> None:
            with server.accept()[0] as near, socket.create_connection(("127.0.0.1", port)) as far:
                back = threading.Thread(target=relay, args=(far, near, 2**40), daemon=True)
                back.start()
                relay(near, far, count)
                back.join(60)

        line = threading.Thread(target=pass_on, daemon=True)
        line.start()
        entity = AE(ae_title="CT1")
        entity.add_requested_context(CTImageStorage)
        association = entity.associate("127.0.0.1", server.getsockname()[1], ae_title=called)
        assert association.is_established
        slices = map(pydicom.dcmread, files)
        codes = [association.send_c_store(one).get("Status") for one in slices if association.is_established]
        association.abort()
        line.join(60)
    return codes


def relay(source: socket.socket, to: socket.socket, left: int) -> None:
    """Pass on what comes, until so much has come; then both ends are closed."""
    with suppress(OSError):
        while left > 0 and (piece := source.recv(min(left, 2**14))):
            to.sendall(piece)
            left -= len(piece)
    for one in (source, to):
        with suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def large(tmp_path: Path, write_dicom) -> list[Path]:
    """Two slices of half a megabyte each."""
    stored = np.zeros((512, 512), np.uint16)
    return [write_dicom(tmp_path / "large" / f"{k}.dcm", stored, SOPInstanceUID=f"1.2.3.{k}") for k in range(2)]


def test_a_line_that_is_cut_within_an_object_loses_nothing_that_was_confirmed(
    tmp_path: Path, large: list[Path], store
) -> None:
    queue = SeriesQueue(tmp_path / "queue", clock=count(step=100.0).__next__)
    with listening(Listening("SAMMIX", port=0), queue) as port:
        assert cut_after(800_000, port, large) == [0, None]
        series = queue.series("1.2.3")
        until((series.folder / "cut").exists, 60)
        assert len(list(series.received.iterdir())) == 1
        assert not list(queue.ready(60)), "its sender will come again: it is waited for longer"
        assert list(queue.ready(5)) == [series]
        assert store(port, large) == [0, 0]
        until(lambda: not (series.folder / "cut").exists(), 60)
        assert len(list(series.received.iterdir())) == 2
    SeriesQueue(tmp_path / "queue")
    assert not list((tmp_path / "queue").rglob("*.part"))


def test_an_object_without_end_is_broken_off_before_it_fills_the_disk(
    tmp_path: Path, large: list[Path], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receiver, "SLACK", 0)
    monkeypatch.setattr(receiver, "MEGABYTE", 300_000)
    queue = SeriesQueue(tmp_path / "queue")
    with listening(Listening("SAMMIX", port=0, largest_object=1), queue) as port:
        assert cut_after(2**40, port, large[:1]) == [None]
    assert "broke off an association: an object of more than 1 MB" in caplog.text
    assert not queue.series("1.2.3").folder.exists()
    assert sum(path.stat().st_size for path in queue.arriving.iterdir()) <= 300_000
    assert tempfile.tempdir != str(queue.arriving), "only for as long as the node listens"


def test_too_many_at_once_are_told_to_try_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receiver, "ASSOCIATIONS", 1)
    entity = AE(ae_title="CT1")
    entity.add_requested_context(CTImageStorage)
    with listening(Listening("SAMMIX", port=0), SeriesQueue(tmp_path)) as port:
        first, second = (entity.associate("127.0.0.1", port, ae_title="SAMMIX") for _ in range(2))
        assert (first.is_established, second.is_rejected) == (True, True)
        first.release()
    assert "there are 1 already; its sender may try again" in caplog.text


def test_only_this_machine_is_listened_to_by_default(tmp_path: Path) -> None:
    with listening(Listening("SAMMIX", port=0), SeriesQueue(tmp_path)) as port:
        socket.create_connection(("127.0.0.1", port), 60).close()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.2", port), 60)


def test_what_is_wrong_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no AE title"):
        Listening("A\\B")
    with pytest.raises(ConfigError, match="name the AE titles"):
        Listening("SAMMIX", host="0.0.0.0")
    queue = SeriesQueue(tmp_path)
    with (
        listening(Listening("SAMMIX", port=0), queue) as port,
        pytest.raises(SammixError, match="cannot be listened on"),
        listening(Listening("SAMMIX", port=port), queue),
    ):
        pass
