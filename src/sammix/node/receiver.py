"""Take CT in by C-STORE, and answer C-ECHO (PS3.4 B and A)."""

from __future__ import annotations

import logging
import shutil
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary, WeakSet

import pydicom
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import UID, CTImageStorage, EnhancedCTImageStorage, LegacyConvertedEnhancedCTImageStorage

from sammix.errors import ConfigError, InputError, SammixError, needs_extra
from sammix.log import warn
from sammix.node.series_queue import Series, SeriesQueue

ACCEPTED = (CTImageStorage, EnhancedCTImageStorage, LegacyConvertedEnhancedCTImageStorage)
VERIFICATION = "1.2.840.10008.1.1"
SUCCESS, OUT_OF_RESOURCES, DOES_NOT_MATCH, CANNOT_UNDERSTAND = 0x0000, 0xA700, 0xA900, 0xC000
ASSOCIATIONS = 128
"""At once; a sender that is one too many is told to try again."""

SHOWN = 5
"""Kinds of objects in a line."""

MEGABYTE = 10**6
SLACK = MEGABYTE
"""Bytes beside an object's own: of its command, and of its packaging."""

DATA = 4
"""The type of a PDU that brings data (PS3.8 9.3.5)."""


@dataclass(frozen=True)
class Listening:
    """Where to listen, and to whom.

    Attributes:
        title: the node's AE title; others must call it by that.
        port: of TCP; 0 takes a free one.
        host: the address to listen on.
        allowed: the AE titles that may call; empty: any, which only 127.0.0.1 may.
        largest_object, largest_series: in MB; more is refused.
        free: MB that must stay free on the disk.

    Raises:
        ConfigError: an AE title is none; or the network may reach the node and nobody is named.
    """

    title: str
    port: int = 11112
    host: str = "127.0.0.1"
    allowed: Sequence[str] = ()
    largest_object: int = 2000
    largest_series: int = 8000
    free: int = 1000

    def __post_init__(self) -> None:
        for title in (self.title, *self.allowed):
            check_title(title)
        if not self.allowed and self.host not in ("127.0.0.1", "localhost", "::1"):
            raise ConfigError(f"on {self.host} others can reach the node: name the AE titles that may, with --allow")


def check_title(title: str) -> None:
    """Refuse what is no AE title (PS3.5 6.2): 1 to 16 characters of ASCII, no control character, no backslash.

    Raises:
        ConfigError: it is none.
    """
    if not (
        len(title.strip()) > 0 and len(title) <= 16 and title.isascii() and title.isprintable() and "\\" not in title
    ):
        raise ConfigError(f"'{title}' is no AE title: it has 1 to 16 characters of ASCII and no backslash")


@contextmanager
def listening(how: Listening, queue: SeriesQueue) -> Iterator[int]:
    """Take series into ``queue`` for as long as this is open; gives the port.

    Raises:
        MissingExtraError: the extra ``dicom-node`` is not installed. SammixError: the port is taken.
    """
    with needs_extra("dicom-node", "a DICOM node"):
        net: Any = import_module("pynetdicom")
        config: Any = import_module("pynetdicom._config")
    logging.getLogger("pynetdicom").setLevel(logging.CRITICAL + 1)  # its lines quote data sets: names could be in them
    config.STORE_RECV_CHUNKED_DATASET = True  # to a file as it comes: memory is bounded
    entity = net.AE(ae_title=how.title)
    entity.require_called_aet, entity.require_calling_aet = True, list(how.allowed)
    entity.maximum_associations = ASSOCIATIONS
    entity.add_supported_context(VERIFICATION)
    readable = [syntax for syntax in net.ALL_TRANSFER_SYNTAXES if _can_be_read(syntax)]
    for kind in ACCEPTED:
        entity.add_supported_context(kind, readable)
    receiver = _Receiver(how, queue)
    handlers = [
        (net.evt.EVT_ACCEPTED, receiver.accepted),
        (net.evt.EVT_PDU_RECV, receiver.came),
        (net.evt.EVT_C_STORE, receiver.store),
        (net.evt.EVT_RELEASED, receiver.released),
        (net.evt.EVT_ABORTED, receiver.broken),
        (net.evt.EVT_CONN_CLOSE, receiver.broken),
        (net.evt.EVT_REJECTED, receiver.rejected),
    ]
    before, tempfile.tempdir = tempfile.tempdir, str(queue.arriving)  # where pynetdicom writes what is arriving
    try:
        server = entity.start_server((how.host, how.port), block=False, evt_handlers=handlers)
    except OSError as error:
        tempfile.tempdir = before
        raise SammixError(f"port {how.port} of {how.host} cannot be listened on ({error.strerror})") from error
    try:
        server.socket.listen(ASSOCIATIONS)  # socketserver lets five wait; one more would have to call again
        yield int(server.server_address[1])
    finally:
        server.shutdown()
        tempfile.tempdir = before


def _can_be_read(syntax: str) -> bool:
    """Tell whether pixels in a transfer syntax can be read on this machine."""
    try:
        return get_decoder(syntax).is_available
    except NotImplementedError:
        return False


class _Receiver:
    def __init__(self, how: Listening, queue: SeriesQueue) -> None:
        self.how, self.queue = how, queue
        self._bringing: WeakKeyDictionary[Any, dict[Path, Series]] = WeakKeyDictionary()
        self._arriving: WeakKeyDictionary[Any, int] = WeakKeyDictionary()
        self._over: WeakSet[Any] = WeakSet()
        self._lock = threading.Lock()

    def accepted(self, event: Any) -> None:
        """Say that somebody who was let in can send nothing. What is no CT was not agreed on, and its sender knows."""
        offered = event.assoc.rejected_contexts
        if offered and not any(one.abstract_syntax in ACCEPTED for one in event.assoc.accepted_contexts):
            kinds = list(dict.fromkeys(_kind(one.abstract_syntax) for one in offered))
            more = f" and {len(kinds) - SHOWN} more" if len(kinds) > SHOWN else ""
            warn(f"an association offers nothing that is taken here: {', '.join(kinds[:SHOWN])}{more}")

    def came(self, event: Any) -> None:
        """Break off an association that brings an object without end, before it fills the disk."""
        if event.pdu.pdu_type != DATA:
            return
        with self._lock:
            much = self._arriving[event.assoc] = self._arriving.get(event.assoc, 0) + len(event.pdu)
        if much > self.how.largest_object * MEGABYTE + SLACK:
            warn(f"broke off an association: an object of more than {self.how.largest_object} MB")
            event.assoc.dul.socket.close()

    def store(self, event: Any) -> int:
        """Put an object on the disk; only then is its sender told that it has arrived."""
        file = Path(event.dataset_path)
        with self._lock:
            self._arriving.pop(event.assoc, None)
        try:
            if file.stat().st_size > self.how.largest_object * MEGABYTE:
                warn(f"refused an object of more than {self.how.largest_object} MB")
                return OUT_OF_RESOURCES
            header = pydicom.dcmread(
                file, stop_before_pixels=True, specific_tags=["SOPClassUID", "SeriesInstanceUID", "SOPInstanceUID"]
            )
            if header.SOPClassUID not in ACCEPTED:
                warn(f"refused an object that is not of the kind it is called: {_kind(header.SOPClassUID)}")
                return DOES_NOT_MATCH
            series_uid, instance_uid = str(header.SeriesInstanceUID), str(header.SOPInstanceUID)
            size = self.queue.size(self.queue.series(series_uid))
            if size > self.how.largest_series * MEGABYTE or shutil.disk_usage(self.queue.folder).free < (
                self.how.free * MEGABYTE
            ):
                warn(
                    f"refused an object: its series is too large, or less than {self.how.free} MB are free on the disk"
                )
                return OUT_OF_RESOURCES
            series = self.queue.add(series_uid, instance_uid, file)
        except (OSError, InputError) as error:
            warn(f"an object could not be kept ({type(error).__name__})")
            return OUT_OF_RESOURCES
        except Exception as error:  # pydicom's errors quote values: only their kind is told
            warn(f"an object cannot be understood ({type(error).__name__})")
            return CANNOT_UNDERSTAND
        with self._lock:
            over, brought = event.assoc in self._over, self._bringing.setdefault(event.assoc, {})
            first = series.folder not in brought
            brought[series.folder] = series
        if over:  # it broke off while this object was being kept
            self.queue.cut(series, broken=True)
        elif first:
            self.queue.begin(series)
        return SUCCESS

    def released(self, event: Any) -> None:
        """Note that the sender had no more."""
        self._ended(event, broken=False)

    def broken(self, event: Any) -> None:
        """Note that the association broke off, if it did: after a release nothing is left to note."""
        self._ended(event, broken=True)

    def rejected(self, event: Any) -> None:
        """Say that somebody was turned away."""
        asked = event.assoc.requestor.primitive
        known = not self.how.allowed or asked.calling_ae_title.strip() in self.how.allowed
        if known and asked.called_ae_title.strip() == self.how.title:
            warn(f"an association was rejected: there are {ASSOCIATIONS} already; its sender may try again")
        else:
            warn("an association was rejected: an AE title that is not allowed, or not this node's")

    def _ended(self, event: Any, broken: bool) -> None:
        with self._lock:
            brought = self._bringing.pop(event.assoc, {})
            self._arriving.pop(event.assoc, None)
            self._over.add(event.assoc)
        for series in brought.values():
            self.queue.end(series)
            self.queue.cut(series, broken)


def _kind(uid: str) -> str:
    """Name a kind of objects; a number that DICOM does not know could be anybody's."""
    known = UID(uid)
    return known.name if known.name != known else "a private kind"
