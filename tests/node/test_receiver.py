from __future__ import annotations

from pathlib import Path

import pytest
from pynetdicom import AE
from pynetdicom.sop_class import Verification

from sammix.errors import ConfigError, SammixError
from sammix.node.receiver import OUT_OF_RESOURCES, Listening, listening
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


def test_an_association_that_breaks_off_is_noted_until_the_next_one(tmp_path: Path, write_series, store) -> None:
    files = sorted(write_series(tmp_path / "ct").iterdir())
    queue = SeriesQueue(tmp_path / "queue")
    with listening(Listening("SAMMIX", port=0), queue) as port:
        store(port, files[:2], abort=True)
    assert (queue.series("1.2.3").folder / "cut").exists()
    with listening(Listening("SAMMIX", port=0), queue) as port:
        store(port, files)
    assert not (queue.series("1.2.3").folder / "cut").exists()


def test_sizes_are_bounded(tmp_path: Path, write_series, store) -> None:
    files = sorted(write_series(tmp_path / "ct").iterdir())
    queue = SeriesQueue(tmp_path / "queue")
    with listening(Listening("SAMMIX", port=0, free=10**9), queue) as port:
        assert store(port, files[:1]) == [OUT_OF_RESOURCES]
    with listening(Listening("SAMMIX", port=0, largest_series=0), queue) as port:
        assert store(port, files[:3]) == [0, OUT_OF_RESOURCES, OUT_OF_RESOURCES]
    with listening(Listening("SAMMIX", port=0, largest_object=0), queue) as port:
        assert store(port, files[:1]) == [OUT_OF_RESOURCES]


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
