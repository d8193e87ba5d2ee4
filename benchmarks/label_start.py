"""How long ``sammix label`` takes to start: until its address is printed, the page answers, and a slice is there.

    python benchmarks/label_start.py --scans 100 --out runs/label-start

The scans are copies of one phantom of 256 × 256 × 40 voxels. CPU-seconds are of the server's own process until then:
on a busy machine only they tell. The process with the network starts beside it, and is not waited for.
"""

from __future__ import annotations

import argparse
import http.client
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import nibabel as nib

from sammix.demo.phantoms import PORTAL, make_phantom
from sammix.io.writers.nifti_mask import image_like

SIZE = (256, 256, 40)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scans", type=int, default=100)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    data = arguments.out / "scans"
    if not data.exists():
        made(data, arguments.scans)
    print("| until | s on the clock | CPU-s of the server |\n|---|---|---|")
    for what, clock, cpu in started(data, arguments.out / "labels"):
        print(f"| {what} | {clock:.1f} | {cpu:.1f} |")


def made(folder: Path, count: int) -> None:
    """Write the scans."""
    folder.mkdir(parents=True)
    phantom = make_phantom(0, PORTAL.at(SIZE))
    nib.save(image_like(phantom.hu, phantom.affine), folder / "scan-0.nii.gz")
    for number in range(1, count):
        shutil.copyfile(folder / "scan-0.nii.gz", folder / f"scan-{number}.nii.gz")


def started(data: Path, store: Path) -> list[tuple[str, float, float]]:
    """Start a server on a labelling that is not there yet, and tell what took how long."""
    shutil.rmtree(store, ignore_errors=True)
    command = [sys.executable, "-m", "sammix", "label", data, "--store", store, "--port", 0, "--no-open"]
    began, found = time.monotonic(), []
    server = subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        assert server.stdout is not None
        address = next(match for line in server.stdout if (match := re.search(r"http://([^/\s]+)(/\S*)", line)))
        host, path = address.groups()

        def note(what: str) -> None:
            found.append((what, time.monotonic() - began, cpu_of(server.pid)))

        note("the address is printed")
        cookie = asked(host, path, {})[0].split(";")[0]
        asked(host, "/api/session", {"cookie": cookie})
        note("the page knows its scans")
        assert len(asked(host, "/api/stacks/0/slices/0/pixels", {"cookie": cookie})[1]) > 1000
        note("the first slice is there")
    finally:
        server.send_signal(signal.SIGINT)
        server.wait(60)
    return found


def asked(host: str, path: str, headers: dict[str, str]) -> tuple[str, bytes]:
    """Ask for something; return the cookie that is set, and the body."""
    connection = http.client.HTTPConnection(host, timeout=120)
    connection.request("GET", path, headers=headers)
    answer = connection.getresponse()
    return answer.getheader("set-cookie") or "", answer.read()


def cpu_of(process: int) -> float:
    """CPU-seconds of a process so far, without those of its children (Linux)."""
    user, system = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()
