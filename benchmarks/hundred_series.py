"""Send many series to ``sammix node`` at once, and count what it sends back.

    python benchmarks/hundred_series.py --out runs/node [--series 100] [--slices 20]

Each series comes by an association of its own, all at the same time. The receiver of the results counts every object
that it is sent, so that one that is sent twice is seen. The network is a toy: what is tested is the node.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, CTImageStorage, ExplicitVRLittleEndian, SegmentationStorage
from pynetdicom import AE, evt
from spread_and_kill import prepare

PATIENCE = 600  # seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--series", type=int, default=100)
    parser.add_argument("--slices", type=int, default=20)
    options = parser.parse_args()
    model, _ = prepare(options.out, 0)
    began = time.monotonic()
    arrived, tries, said = circle(model, options.out, options.series, options.slices)
    print(
        f"{options.series} series of {options.slices} slices, {tries} associations; {time.monotonic() - began:.0f} s: "
        f"results of {len(arrived)} series, {sum(arrived.values()) - len(arrived)} sent twice"
    )
    print("".join(turned_away(said)), end="")
    raise SystemExit(arrived != {f"1.9.{k}": 1 for k in range(options.series)})


def circle(model: Path, out: Path, series: int, slices: int) -> tuple[Counter[str], int, list[str]]:
    """Send series to a node and take in what it sends.

    Returns:
        How many results of each series arrived, how many associations it took to send all, and what the node said.
    """
    with receiving() as (pacs, arrived), node(model, out / "queue", pacs) as (port, said):
        gate = threading.Barrier(series)

        def send(number: int) -> int:
            gate.wait(PATIENCE)
            return send_series(port, number, slices)

        with ThreadPoolExecutor(series) as senders:
            tries = sum(senders.map(send, range(series)))
        end = time.monotonic() + PATIENCE
        while len({path.parent for path in (out / "queue").glob("*/*.sent")}) < series and time.monotonic() < end:
            time.sleep(0.1)
    return arrived, tries, said


@contextmanager
def receiving() -> Iterator[tuple[int, Counter[str]]]:
    """A PACS that counts what it is sent, by the series that it was made of."""
    arrived: Counter[str] = Counter()

    def store(event: Any) -> int:
        arrived[str(event.dataset.ReferencedSeriesSequence[0].SeriesInstanceUID)] += 1
        return 0

    entity = AE(ae_title="PACS")
    entity.add_supported_context(SegmentationStorage)
    server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, store)])
    assert server is not None
    try:
        yield int(server.server_address[1]), arrived
    finally:
        server.shutdown()


@contextmanager
def node(model: Path, queue: Path, pacs: int) -> Iterator[tuple[int, list[str]]]:
    """``sammix node`` as a program: the port that it listens on, and the lines that it says from then on."""
    words = ["node", "--aet", "SAMMIX", "--queue", queue, "--send-to", f"PACS@127.0.0.1:{pacs}", "--model", model]
    words += ["--port", 0, "--wait", 3, "--device", "cpu"]
    command = [sys.executable, "-m", "sammix", *map(str, words)]
    program = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert program.stderr is not None
    said: list[str] = []
    try:
        told = next(line for line in program.stderr if " listens on " in line)
        threading.Thread(target=said.extend, args=(program.stderr,), daemon=True).start()  # else its pipe would fill up
        yield int(told.rsplit(":", 1)[1]), said
    finally:
        program.terminate()
        program.wait(60)


def turned_away(said: list[str]) -> list[str]:
    """Give the lines by which a node says that it did not take something."""
    return [line for line in said if any(word in line for word in ("rejected", "refused", "broke off", "an object"))]


def send_series(port: int, number: int, slices: int) -> int:
    """Send a series as a scanner does: again, until all of it was taken. Returns how often it was tried."""
    entity = AE(ae_title="CT1")
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = entity.connection_timeout = PATIENCE
    entity.add_requested_context(CTImageStorage, ExplicitVRLittleEndian)
    for attempt in range(1, 1000):
        association = entity.associate("127.0.0.1", port, ae_title="SAMMIX")
        if not association.is_established:
            time.sleep(0.2)
            continue
        with suppress(RuntimeError):  # the association broke off
            codes = [association.send_c_store(one_slice(number, k)).get("Status") for k in range(slices)]
            association.release()
            if codes == [0] * slices:
                return attempt
    raise RuntimeError(f"series {number} was never taken")


def one_slice(series: int, number: int) -> Dataset:
    """A slice of CT of 64 × 64 pixels."""
    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.SOPClassUID = data.file_meta.MediaStorageSOPClassUID = CTImageStorage
    data.SOPInstanceUID = data.file_meta.MediaStorageSOPInstanceUID = UID(f"1.9.{series}.{number}")
    data.StudyInstanceUID, data.SeriesInstanceUID, data.FrameOfReferenceUID = "1.8", f"1.9.{series}", "1.7"
    data.PatientName, data.PatientID, data.Modality = "Test", f"test-{series}", "CT"
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.Rows = data.Columns = 64
    data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 16, 16, 15, 0
    data.PixelSpacing, data.SliceThickness = [0.9, 0.9], 3
    data.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    data.ImagePositionPatient = [0, 0, 3 * number]
    data.RescaleSlope, data.RescaleIntercept = 1, -400
    data.PixelData = np.random.default_rng((series, number)).integers(0, 1200, (64, 64), np.uint16).tobytes()
    return data


if __name__ == "__main__":
    main()
