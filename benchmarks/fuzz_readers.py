"""Damage valid small files at random and read them: nothing but a SammixError may leave a reader.

    python benchmarks/fuzz_readers.py nifti --minutes 4 --out runs/fuzz

Each case follows from the seed and its number. A file that a reader chokes on (another exception, or more than
``PATIENCE`` seconds) is kept in ``--out`` with its traceback. Should the process itself die or be stuck, the case that
it was at is ``READER-last`` there.
"""

from __future__ import annotations

import argparse
import faulthandler
import gzip
import logging
import resource
import shutil
import signal
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
from seed_files import SEED_FILES, Target

from sammix.errors import SammixError
from sammix.log import show_on_terminal

PATIENCE = 30  # seconds for one case, on a machine that has other work
ADDRESS_SPACE = 8 * 2**30
ENDS = [0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 2**62, 2**64 - 1]
WORDS = [
    b"nan", b"inf", b"-1", b"1e999", b"9" * 5000, b"\0", b"\n", b",", b'"', b"../../x", b"/etc/passwd", b"[" * 3000,
    b"{" * 3000, b"null", b"{}", b"[]", b"\xff\xfe", b"&a [*a]", b"2020-99-99", b"!!int x",
    b"!!python/name:os.system x", b": ", b"- ", b"a" * 300,
]  # fmt: skip
Random = np.random.Generator
Mutation = Callable[[bytearray, Random, list[bytes]], bytearray]


def place(data: bytearray, rng: Random) -> int:
    """Where to strike: half of the time in the first kilobyte, where headers are."""
    end = len(data) if rng.random() < 0.5 else min(len(data), 1024)
    return int(rng.integers(0, max(1, end)))


def flip(data: bytearray, rng: Random, __: list[bytes]) -> bytearray:
    for _ in range(int(rng.integers(1, 5))):
        data[place(data, rng)] = int(rng.integers(0, 256))
    return data


def extreme(data: bytearray, rng: Random, _: list[bytes]) -> bytearray:
    at, size = place(data, rng), int(rng.choice([1, 2, 4, 8]))
    value = ENDS[int(rng.integers(len(ENDS)))] % 2 ** (8 * size)
    data[at : at + size] = value.to_bytes(size, "little" if rng.random() < 0.7 else "big")
    return data


def cut(data: bytearray, rng: Random, _: list[bytes]) -> bytearray:
    return data[: place(data, rng)]


def lose(data: bytearray, rng: Random, _: list[bytes]) -> bytearray:
    at = place(data, rng)
    del data[at : at + int(rng.integers(1, 64))]
    return data


def double(data: bytearray, rng: Random, _: list[bytes]) -> bytearray:
    at = place(data, rng)
    piece = data[at : at + int(rng.integers(1, 512))]
    return data[:at] + piece * int(rng.integers(1, 20)) + data[at:]


def splice(data: bytearray, rng: Random, others: list[bytes]) -> bytearray:
    other = others[int(rng.integers(len(others)))]
    return data[: place(data, rng)] + other[place(bytearray(other), rng) :]


def say_a_word(data: bytearray, rng: Random, _: list[bytes]) -> bytearray:
    at, word = place(data, rng), WORDS[int(rng.integers(len(WORDS)))]
    return data[:at] + word + data[at + int(rng.integers(0, 12)) :]


MUTATIONS: list[Mutation] = [flip, flip, extreme, extreme, cut, lose, double, splice, say_a_word]


def mutate(content: bytes, rng: Random, others: list[bytes], unpack: bool) -> bytes:
    """One to three blows; to what is in a gzip file as often as to the gzip file."""
    inside = unpack and rng.random() < 0.7
    data = bytearray(gzip.decompress(content) if inside else content)
    for _ in range(int(rng.integers(1, 4))):
        if data:
            data = MUTATIONS[int(rng.integers(len(MUTATIONS)))](data, rng, others)
    return gzip.compress(bytes(data), 1) if inside else bytes(data)


def outcome(target: Target, case: Path) -> str:
    """``read``, ``refused``, or the traceback of what should not have come out."""
    signal.alarm(PATIENCE)
    faulthandler.dump_traceback_later(2 * PATIENCE, exit=True)  # of code that hears no signals
    try:
        target.read(case)
    except SammixError as error:
        return "refused" if "\n" not in str(error) else f"a message of several lines: {error!r}"
    except BaseException:
        return traceback.format_exc()
    finally:
        signal.alarm(0)
        faulthandler.cancel_dump_traceback_later()
    return "read"


def fuzz(reader: str, minutes: float, out: Path, seed: int) -> Counter[str]:
    counts: Counter[str] = Counter()
    seen: set[str] = set()
    signal.signal(signal.SIGALRM, lambda *_: (_ for _ in ()).throw(TimeoutError(f"took more than {PATIENCE} s")))
    with tempfile.TemporaryDirectory() as temporary:
        target = SEED_FILES[reader](Path(temporary) / "whole")
        target.read(target.folder)  # damage shows nothing where the whole file is refused, too
        contents = [file.read_bytes() for file in target.files]
        case, last = Path(temporary) / "case", out / f"{reader}-last"
        end, number = time.monotonic() + 60 * minutes, -1
        while time.monotonic() < end:
            number += 1
            rng = np.random.default_rng([seed, number])
            which = int(rng.integers(len(target.files)))
            damaged = mutate(contents[which], rng, contents, target.files[which].name.endswith(".gz"))
            name = target.files[which].relative_to(target.folder)
            if not case.exists():
                shutil.copytree(target.folder, case)
            (case / name).write_bytes(damaged)
            last.write_bytes(damaged)
            found = outcome(target, case)
            shutil.copy(target.files[which], case / name)
            kind = found if found in ("read", "refused") else "crash"
            counts[kind] += 1
            if kind == "crash" and (line := found.strip().splitlines()[-1][:60]) not in seen:
                seen.add(line)
                (out / f"{reader}-{seed}-{number}-{name.name}").write_bytes(damaged)
                (out / f"{reader}-{seed}-{number}.txt").write_text(f"{name}\n{found}")
                print(f"{reader} seed {seed} case {number} ({name}): {line}", flush=True)
        last.unlink(missing_ok=True)
    return counts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("reader", choices=sorted(SEED_FILES))
    parser.add_argument("--minutes", type=float, default=4)
    parser.add_argument("--out", type=Path, default=Path("runs/fuzz"))
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    show_on_terminal(quiet=True)
    logging.disable()  # nibabel and pydicom tell what they mend
    warnings.simplefilter("ignore")
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))
    counts = fuzz(arguments.reader, arguments.minutes, arguments.out, arguments.seed)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    shown = ", ".join(f"{counts[kind]:,} {kind}" for kind in ("read", "refused", "crash"))
    print(f"{arguments.reader}: {counts.total():,} cases in {arguments.minutes:g} min: {shown}; at most {peak:.1f} GiB")
    raise SystemExit(bool(counts["crash"]))


if __name__ == "__main__":
    main()
