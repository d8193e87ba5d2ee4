"""A PACS, and CT to send to the node."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pynetdicom import AE
from pynetdicom.sop_class import CTImageStorage

ORTHANC = shutil.which("Orthanc")
PLUGIN = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@dataclass
class Pacs:
    """An Orthanc of this machine, with a folder of its own."""

    folder: Path
    port: int
    http: int
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.http}"

    def start(self, **more: Any) -> None:
        settings = more | {
            "Name": "PACS",
            "StorageDirectory": str(self.folder),
            "IndexDirectory": str(self.folder),
            "DicomAet": "PACS",
            "DicomPort": self.port,
            "HttpPort": self.http,
            "RemoteAccessAllowed": False,
            "AuthenticationEnabled": False,
            "DicomAlwaysAllowStore": True,
            "OverwriteInstances": False,
            "Plugins": [str(PLUGIN)] if PLUGIN.exists() else [],
        }
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "orthanc.json").write_text(json.dumps(settings))
        assert ORTHANC is not None
        words = [ORTHANC, str(self.folder / "orthanc.json")]
        self.process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        end = time.monotonic() + 60
        while True:
            try:
                self.get("/system")
                return
            except OSError:
                assert time.monotonic() < end, "Orthanc did not start"
                assert self.process.poll() is None, "Orthanc ended at once"
                time.sleep(0.1)

    def stop(self) -> None:
        if self.process:
            self.process.kill()
            self.process.wait(60)
            self.process = None

    def get(self, path: str) -> Any:
        with urllib.request.urlopen(self.url + path, timeout=10) as answer:
            return json.load(answer)

    def post(self, path: str, value: Any) -> Any:
        asked = urllib.request.Request(self.url + path, json.dumps(value).encode(), method="POST")
        with urllib.request.urlopen(asked, timeout=60) as answer:
            return json.load(answer)

    def upload(self, file: Path) -> None:
        asked = urllib.request.Request(f"{self.url}/instances", file.read_bytes(), method="POST")
        urllib.request.urlopen(asked, timeout=60).close()

    def modality(self, name: str, where: list[Any]) -> None:
        asked = urllib.request.Request(f"{self.url}/modalities/{name}", json.dumps(where).encode(), method="PUT")
        urllib.request.urlopen(asked, timeout=60).close()

    def instances(self, modality: str) -> list[dict[str, str]]:
        """The main tags of all instances of a modality."""
        series = [one for one in self.get("/series?expand") if one["MainDicomTags"]["Modality"] == modality]
        return [self.get(f"/instances/{name}/simplified-tags") for one in series for name in one["Instances"]]

    def wait_for(self, modality: str, count: int, seconds: float = 120) -> list[dict[str, str]]:
        end = time.monotonic() + seconds
        while len(found := self.instances(modality)) < count and time.monotonic() < end:
            time.sleep(0.2)
        return found


@pytest.fixture
def pacs(tmp_path: Path) -> Iterator[Pacs]:
    if ORTHANC is None:
        pytest.skip("no Orthanc on this machine (Debian: apt-get install orthanc orthanc-dicomweb)")
    one = Pacs(tmp_path / "pacs", free_port(), free_port())
    yield one
    one.stop()


@pytest.fixture
def store() -> Callable[..., list[int | None]]:
    """``store(port, files, calling, called)`` → the status of each C-STORE; None where the association was refused."""

    def send(
        port: int, files: Sequence[Path], calling: str = "CT1", called: str = "SAMMIX", abort: bool = False
    ) -> list[int | None]:
        entity = AE(ae_title=calling)
        entity.connection_timeout = 60
        entity.add_requested_context(CTImageStorage)
        association = entity.associate("127.0.0.1", port, ae_title=called)
        if not association.is_established:
            return [None]
        codes = [association.send_c_store(pydicom.dcmread(file)).Status for file in files]
        if abort:
            association.abort()
        else:
            association.release()
        return codes

    return send
