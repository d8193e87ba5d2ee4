"""Bring a result to where it is wanted: by C-STORE to a node, or by STOW-RS to a DICOMweb server (PS3.18 10.5)."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import pydicom
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, RTStructureSetStorage, SegmentationStorage

from sammix.errors import ConfigError, SammixError, needs_extra
from sammix.node.receiver import check_title

Send = Callable[[Path], str]
"""Sends a file of DICOM; returns why it was not taken, or nothing. Raises Unreachable."""

PEER = re.compile(r"(?P<title>[^@\\]{1,16})@(?P<host>[^@:/\s]+):(?P<port>[0-9]{1,5})")
TIMEOUT = 60  # seconds


class Unreachable(SammixError):
    """Nothing at all can be sent there for now."""


@dataclass(frozen=True)
class Peer:
    """A DICOM node to send to, and the title under which this one calls it."""

    title: str
    host: str
    port: int
    own: str

    @classmethod
    def read(cls, text: str, own: str) -> Peer:
        """Read ``AET@host:port``.

        Raises:
            ConfigError: it is no such text.

        >>> Peer.read("ORTHANC@127.0.0.1:4242", "SAMMIX").port
        4242
        """
        if not (found := PEER.fullmatch(text)) or not 0 < int(found["port"]) < 2**16:
            raise ConfigError(f"--send-to takes AET@host:port, such as PACS@10.0.0.7:104, not '{text}'")
        check_title(found["title"])
        return cls(found["title"], found["host"], int(found["port"]), own)

    def send(self, file: Path) -> str:
        """Send a file; say why it was not taken, if it was not.

        Raises:
            Unreachable: there is nobody, or nobody who lets this node in.
        """
        with needs_extra("dicom-node", "sending to a DICOM node"):
            net: Any = import_module("pynetdicom")
        entity = net.AE(ae_title=self.own)
        entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = TIMEOUT
        entity.connection_timeout = TIMEOUT
        for kind in (SegmentationStorage, RTStructureSetStorage):
            entity.add_requested_context(kind, [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
        place = f"{self.title} at {self.host}:{self.port}"
        try:
            association = entity.associate(self.host, self.port, ae_title=self.title)
        except OSError as error:  # of the host's name, which no server knows
            raise Unreachable(f"{place} cannot be found ({error.strerror})") from error
        if not association.is_established:
            if association.rejected_contexts:
                return f"{self.title} takes no objects of this kind"
            raise Unreachable(f"{place} did not accept an association")
        try:
            status = association.send_c_store(pydicom.dcmread(file))
        except ValueError:
            return f"{self.title} takes no objects of this kind"
        except RuntimeError:  # it was established, and is not any more
            return "the connection broke off"
        finally:
            association.release()
        code = status.get("Status") if status else None
        if code is None:
            return "the connection broke off"
        return "" if code == 0 or code & 0xF000 == 0xB000 else f"{self.title} answered with status 0x{code:04X}"


@dataclass(frozen=True)
class Stow:
    """A DICOMweb server to send to; ``url`` is that below which ``/studies`` is."""

    url: str

    def send(self, file: Path) -> str:
        """Send a file; say why it was not taken, if it was not.

        Raises:
            Unreachable: no server answers.
        """
        with needs_extra("dicom-node", "sending to a DICOMweb server"):
            client: Any = import_module("dicomweb_client.api")
            requests: Any = import_module("requests")
        try:
            server = client.DICOMwebClient(self.url, timeout=TIMEOUT)
            server.set_http_retry_params(retry=False)  # the service tries again, later
            answer = server.store_instances([pydicom.dcmread(file)])
        except (requests.ConnectionError, requests.Timeout) as error:
            raise Unreachable(f"{self.url} does not answer ({type(error).__name__})") from error
        except Exception as error:  # of requests, which may quote what was sent: only its kind is told
            return f"{self.url} did not take it ({type(error).__name__})"
        return f"{self.url} refused it" if getattr(answer, "FailedSOPSequence", None) else ""
