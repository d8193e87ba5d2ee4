"""Ask a labelling's server what nobody should: random and malformed requests, on phantoms, for a given time.

    python benchmarks/fuzz_label.py --minutes 10 --seed 0 --train

The server is a program of its own (``sammix label --slicer``). Asked are all routes of the page and of 3D Slicer: with
what fits and with what does not, in paths, numbers, names, headers, JSON, masks and forms; with bodies that are cut
short, late, too long or claimed wrongly; and with bytes that are no HTTP. Nothing may be answered by an error of the
server's own (500 and above), nothing may be told of its inside, and nothing may be written outside its folder. In the
end it must still answer, and its record, masks and answers must be whole. What is wrong is printed, with its request.

The same seed asks the same; the answers' order differs where several ask at once.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import random
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from odd_requests import SIZE, Asked, Asker, Where

from sammix.demo.phantoms import PORTAL, write_lits
from sammix.label.collection import open_collection
from sammix.label.events import Events
from sammix.label.mask_files import MaskFiles
from sammix.label.places import Places
from sammix.label.project import LabelProject
from sammix.label.service import Service

PATIENCE = 90.0
"""Seconds for an answer to a request that was sent whole."""


@dataclass
class Found:
    """What was asked and what came of it.

    Attributes:
        asked: how many requests.
        answered: how many of each status; 0 is none, which a request that is cut short may get.
        wrong: what must not be, a line each.
    """

    asked: int = 0
    answered: Counter[int] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)


def ask(port: int, asked: Asked) -> tuple[int, bytes]:
    """Send one request; return the answer's status (0: none) and all that was told. Raises TimeoutError."""
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as client:
        told = b""
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            if asked.pause:
                for start in range(0, min(len(asked.sent), 4000), 400):
                    client.sendall(asked.sent[start : start + 400])
                    time.sleep(asked.pause)
                client.sendall(asked.sent[4000:])
            else:
                client.sendall(asked.sent)
            if not asked.whole:
                client.shutdown(socket.SHUT_WR)
        with contextlib.suppress(ConnectionResetError):
            while piece := client.recv(2**16):
                told += piece
                if b"text/event-stream" in told[:2000]:
                    break
    match = re.match(rb"HTTP/1\.1 (\d{3})", told)
    return (int(match[1]) if match else 0), told


@contextlib.contextmanager
def served(folder: Path, seed: int) -> Iterator[tuple[subprocess.Popen[str], int, str]]:
    """Start a server on phantoms within a folder; give it, its port and its token."""
    write_lits(folder / "study", 3, seed, PORTAL.at((SIZE, SIZE, 12)))
    (folder / "study/segmentation-1.nii").unlink()
    (folder / "tmp").mkdir()
    command = [sys.executable, "-m", "sammix", "label", "study", "--store", "store", "--port", "0", "--preset", "tiny"]
    options = ["--no-open", "--slicer", "--annotator", "ada"]
    environment = {**os.environ, "TMPDIR": str(folder / "tmp"), "OMP_NUM_THREADS": "1"}
    with (folder / "errors.txt").open("w") as errors:
        server = subprocess.Popen(
            [*command, *options], cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=errors, text=True,
            start_new_session=True,
        )  # fmt: skip
    try:
        assert server.stdout is not None
        match = re.match(r"http://127\.0\.0\.1:(\d+)/\?token=(\S+)", server.stdout.readline())
        assert match, (folder / "errors.txt").read_text()
        yield server, int(match[1]), match[2]
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGKILL)
        server.wait()
        assert server.stdout is not None
        server.stdout.close()


def fuzz(folder: Path, *, requests: int, seconds: float, seed: int = 0, at_once: int = 1, train: bool = False) -> Found:
    """Ask until so many requests were asked, or so many seconds have passed, and look at what is left behind.

    Args:
        folder: an empty one.
        requests: of each of those who ask at once.
    """
    found, lock = Found(), threading.Lock()
    with served(folder, seed) as (server, port, token):
        before = _files(folder)
        where = Where(port, token)
        _, told = ask(port, where.plain("/datastore/?output=all"))
        where = Where(port, token, (*json.loads(told.partition(b"\r\n\r\n")[2])["objects"], "new scan"))
        label = (folder / "study/segmentation-0.nii").read_bytes()
        end = time.monotonic() + seconds

        def work(number: int) -> None:
            asker = Asker(where, random.Random(f"{seed}/{number}"), label, train)
            for _ in range(requests):
                if time.monotonic() > end:
                    return
                asked = asker.next()
                try:
                    status, told = ask(port, asked)
                    wrong = _wrong(status, told, asked)
                except OSError as error:
                    status, wrong = 0, f"no answer ({error!r})"
                with lock:
                    found.asked += 1
                    found.answered[status] += 1
                    if wrong and len(found.wrong) < 50:
                        found.wrong.append(f"{wrong}: {asked.sent[:600]!r}")

        threads = [threading.Thread(target=work, args=(number,)) for number in range(at_once)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        found.wrong += _left_behind(folder, before, server, where)
    found.wrong += _damage(folder)
    return found


def _wrong(status: int, told: bytes, asked: Asked) -> str | None:
    """Say what is wrong with an answer; None where nothing is."""
    if status >= 500:
        return f"answered {status}"
    if b"Traceback (most" in told or b'File "/' in told:
        return "told of its inside"
    if b"root:x:0:0" in told:
        return "sent a file that is not its own"
    return "no answer" if asked.whole and not status else None


def _files(folder: Path) -> dict[str, str]:
    """Every file outside the labelling's folder, by its content."""
    files = (path for path in folder.rglob("*") if path.is_file() and not path.is_relative_to(folder / "store"))
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
        if path.name != "errors.txt"
    }


def _left_behind(folder: Path, before: dict[str, str], server: subprocess.Popen[str], where: Where) -> list[str]:
    """Say what is wrong with the server, and with what it left beside its folder."""
    if server.poll() is not None:
        return [f"the server ended with {server.returncode}: {(folder / 'errors.txt').read_text()[-2000:]}"]
    status, _ = ask(where.port, where.plain("/api/session"))
    wrong = [f"it does not answer any more ({status})"] if status != 200 else []
    _, told = ask(where.port, where.plain("/api/brain"))
    wrong += [f"the network's process: {told[-300:]!r}"] if b"process" in told else []
    after = _files(folder)
    wrong += [f"written beside its folder, or changed: {name}" for name in after if after[name] != before.get(name)]
    wrong += [f"gone: {name}" for name in before.keys() - after.keys()]
    errors = (folder / "errors.txt").read_text()
    wrong += [f"in its log: {errors[max(0, at - 200) : at + 3000]}" for at in [errors.find("Traceback")] if at >= 0]
    return wrong


def _damage(folder: Path) -> list[str]:
    """Say what is wrong with the labelling, once its server was killed."""
    wrong, places = [], Places(folder / "store")
    with contextlib.closing(sqlite3.connect(places.answers)) as database:
        (said,) = database.execute("PRAGMA integrity_check").fetchone()
        wrong += [f"the record: {said}"] if said != "ok" else []
    data = folder / "study"
    with contextlib.chdir(folder), LabelProject.opened(places.folder, Path("study"), "liver") as project:
        for name in project.record.masks():
            MaskFiles(places.masks).read(name)
        service = Service(project, open_collection(data, None, places.scans), Events())
        for number in range(len(service.collection.stacks)):
            for k in range(len(service.opened(number))):
                service.mask(number, k)
    return wrong


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--at-once", type=int, default=3)
    parser.add_argument("--train", action="store_true", help="let trainings begin, too")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="fuzz-label-") as folder:
        asking = {"requests": 10**9, "seconds": 60 * given.minutes, "seed": given.seed}
        found = fuzz(Path(folder), **asking, at_once=given.at_once, train=given.train)
    print(f"{found.asked} requests; answers: {dict(sorted(found.answered.items()))}")
    print("\n".join(found.wrong) or "nothing wrong")
    sys.exit(bool(found.wrong))


if __name__ == "__main__":
    main()
