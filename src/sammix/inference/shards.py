"""Cut a list of scans into shards, without an engine: which scan is whose depends on the scan alone."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sammix.errors import ConfigError


@dataclass(frozen=True)
class Shard:
    """The ``number``-th of ``of`` parts, counted from 1.

    Raises:
        ConfigError: there is no such part.
    """

    number: int
    of: int

    def __post_init__(self) -> None:
        if not 1 <= self.number <= self.of:
            remedy = f"shards are counted from 1: --shard 1/{self.of} to --shard {self.of}/{self.of}"
            raise ConfigError(f"there is no shard {self.number} of {self.of}; {remedy}")

    @classmethod
    def read(cls, text: str) -> Shard:
        """Read ``K/N``.

        Raises:
            ConfigError: it is no such text, or there is no such part.

        >>> Shard.read("2/8")
        Shard(number=2, of=8)
        """
        if not (found := re.fullmatch(r"([0-9]{1,7})/([0-9]{1,7})", text.strip())):
            raise ConfigError(f"--shard takes K/N, such as 1/8 for the first of eight parts, not '{text}'")
        return cls(int(found[1]), int(found[2]))

    def holds(self, origin: dict[str, Any]) -> bool:
        """Tell whether a scan is in this part: by its series' UID, else by its absolute path, and nothing else."""
        return int.from_bytes(_digest(origin)[:8], "big") % self.of == self.number - 1

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"


def digest_of(origins: Iterable[dict[str, Any]]) -> str:
    """Name a set of scans, whatever their order: two shards of one job must have found the same."""
    return hashlib.sha256(b"".join(sorted(map(_digest, origins)))).hexdigest()[:16]


def _digest(origin: dict[str, Any]) -> bytes:
    identity = str(origin.get("series") or origin["input"])
    return hashlib.sha256(identity.encode(errors="surrogatepass")).digest()
