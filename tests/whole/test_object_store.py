"""Against a server of S3: moto's, in a process of its own. ``.ci/run`` installs it beside the environment."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from sammix.cli import main
from sammix.io.remote import ObjectStore

ROOT = Path(__file__).parents[2]
SERVER = shutil.which("moto_server") or shutil.which("moto_server", path=str(ROOT / "build" / "moto" / "bin"))


@pytest.fixture(scope="module")
def s3() -> Iterator[dict[str, str]]:
    """The environment in which ``s3://scans`` is a bucket of this machine."""
    if SERVER is None:
        pytest.skip("no S3 server: moto_server is neither on the PATH nor in build/moto/bin (see .ci/run)")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen([SERVER, "-H", "127.0.0.1", "-p", str(port)], stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    for _ in range(200):
        try:
            urllib.request.urlopen(urllib.request.Request(f"{url}/scans", method="PUT"), timeout=5).close()
            break
        except OSError:
            time.sleep(0.1)
    yield {
        **os.environ,
        "AWS_ENDPOINT_URL": url,
        "AWS_ALLOW_HTTP": "true",
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_REGION": "us-east-1",
        "OMP_NUM_THREADS": "1",
    }
    server.kill()
    server.wait()


def test_scans_in_an_object_store_are_shared_by_two_processes_one_of_which_is_killed(
    s3: dict[str, str], tiny_run: Path, hospital_a: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    def run(*words: object) -> int:
        monkeypatch.setattr(sys, "argv", ["sammix", *map(str, words)])
        try:
            main()
        except SystemExit as leave:
            return int(leave.code or 0)
        return 0

    for name, value in s3.items():
        monkeypatch.setenv(name, value)
    for k in range(4):
        ObjectStore("s3://scans/in").write(f"{k}/volume-{k}.nii", hospital_a / f"volume-{k}.nii")
    short = (
        "import sammix.inference.shared_bucket as b, sammix.cli as c; b.SharedBucket.__init__.__defaults__ = (2.0, '')"
    )
    command = ["predict", str(tiny_run), "s3://scans/in", "--out", "s3://scans/out", "--device", "cpu", "--skip-done"]
    program = [sys.executable, "-c", f"{short}; c.main()", *command]
    killed = subprocess.Popen(program, env=s3, stderr=subprocess.PIPE, text=True)
    assert killed.stderr is not None
    next(line for line in killed.stderr if line.startswith("[2/4]"))
    killed.kill()
    killed.communicate()
    assert killed.returncode == -signal.SIGKILL
    done = subprocess.run(program, env=s3, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    out = ObjectStore("s3://scans/out")
    manifest = json.loads(out.read("manifest.json") or b"")
    assert sorted(scan["input"] for scan in manifest["scans"]) == [
        f"s3://scans/in/{k}/volume-{k}.nii" for k in range(4)
    ]
    assert {scan["status"] for scan in manifest["scans"]} == {"done"}
    masks, tables = ({scan[key] for scan in manifest["scans"]} for key in ("mask", "slices_csv"))
    assert set(out.direct()) == masks | tables | {"manifest.json", "statistics.json", "statistics.csv", "index.html"}
    page = (out.read("index.html") or b"").decode()
    for picture in (scan[key] for scan in manifest["scans"] for key in ("views", "curve")):
        assert picture in page
        assert out.read(picture)
    assert run(*command[:2], hospital_a, "--out", tmp_path / "out", "--device", "cpu") == 0
    for mask in masks:
        assert out.read(mask) == (tmp_path / "out" / mask).read_bytes()
    capsys.readouterr()
    assert run(*command) == 0
    assert "4 of 4 scans are done already" in capsys.readouterr().err
    assert run(*command[:-1]) == 2
    assert "s3://scans/out: exists already and is not empty" in capsys.readouterr().err
