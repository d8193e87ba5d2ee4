"""Requests to a labelling's server, made by chance: some fit, and most nobody should send. For ``fuzz_label.py``."""

from __future__ import annotations

import hashlib
import json
import random
import re
from dataclasses import dataclass

SIZE = 48
PIXELS = SIZE * SIZE
STACK, SLICE = "/api/stacks/{stack}", "/api/stacks/{stack}/slices/{slice}"
ROUTES = [
    ("GET", "/"), ("GET", "/page/{file}"), ("GET", "/api/session"), ("GET", "/api/events"), ("GET", STACK),
    ("POST", STACK + "/mark"), ("GET", SLICE + "/pixels"), ("GET", SLICE + "/mask"), ("PUT", SLICE + "/mask"),
    ("POST", SLICE + "/answer"), ("POST", SLICE + "/interpolation"), ("POST", "/api/undo"), ("POST", "/api/redo"),
    ("GET", "/api/brain"), ("GET", "/api/order"), ("GET", STACK + "/looks"), ("POST", SLICE + "/proposal"),
    ("GET", SLICE + "/map"), ("GET", "/api/proposals/{mask}"), ("POST", "/api/models/use"), ("POST", "/api/export"),
    ("POST", "/api/learn/stop"), ("GET", "/auth/"), ("GET", "/info/"), ("POST", "/activelearning/{word}"),
    ("GET", "/datastore/?output={word}"), ("GET", "/datastore/image?image={id}"),
    ("GET", "/datastore/label?label={id}&tag={word}"), ("PUT", "/datastore/label?image={id}&tag={word}"),
    ("PUT", "/datastore/?image={word}"), ("POST", "/infer/{model}?image={id}"), ("GET", "/train/"),
    ("GET", "/train/?check_if_running={word}"), ("DELETE", "/train/"), ("GET", "/{word}"),
]  # fmt: skip
TRAININGS = [("POST", "/api/learn"), ("POST", "/train/{trainer}")]

METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "get", "G\x00T", "Ü")
WORDS = (
    "original", "final", "all", "stats", "true", "..", "../..", "%2e%2e%2f%2e%2e%2fetc%2fpasswd", "..%5c..%5cx", "%00",
    "a%00b", "%", "%zz", "%ff%fe", "%F0%9F%92%A9", "ä", "/etc/passwd", "//x", "C:\\x", "new scan", "x" * 300, "", " ",
    "%0d%0aSet-Cookie:a=b", "'; DROP TABLE answers; --", "$(id)", "{{7*7}}", "-1", "0", "nan", "model-1", "con", ".hid",
)  # fmt: skip
NUMBERS = ("0", "1", "2", "3", "5", "11", "12", "-1", "99999999999999999999", "1.5", "1e3", "0x1", "", "٣", "+1", " 1")
HEADERS = (
    ("Origin", "http://evil.example"), ("Origin", "null"), ("Sec-Fetch-Site", "cross-site"), ("Host", "evil.example"),
    ("Cookie", "a=b; ; =; \x01"), ("Cookie", "x" * 9000), ("X-Annotator", "..%2fx"), ("X-Annotator", "%00"),
    ("X-Annotator", "J%C3%BCrgen"), ("X-Annotator", "ada%0A"), ("Content-Type", "text/plain"), ("Range", "bytes=5-2"),
    ("Range", "bytes=0-0,2-3,-1"), ("Range", "bytes=" + "0-1," * 200), ("Content-Type", "multipart/form-data"),
    ("Content-Type", "multipart/form-data; boundary="), ("Content-Type", 'multipart/form-data; boundary="\x80'),
    ("Expect", "100-continue"), ("Upgrade", "websocket"), ("Transfer-Encoding", "gzip, chunked"), ("Accept", "\x7f"),
    ("If-Modified-Since", "yesterday"), ("If-Range", "x"), ("Authorization", "token \xff"),
    ("Content-Encoding", "gzip"), ("Connection", "Upgrade"), ("X-Forwarded-For", "127.0.0.1"),
    ("Accept-Encoding", "a" * 4000),
)  # fmt: skip


@dataclass(frozen=True)
class Asked:
    """One request: bytes, and whether it was sent whole, so that an answer must come."""

    sent: bytes
    whole: bool
    pause: float = 0.0


@dataclass(frozen=True)
class Where:
    """A server.

    Attributes:
        port, token: of it.
        ids: of its scans, as 3D Slicer knows them.
    """

    port: int
    token: str
    ids: tuple[str, ...] = ()

    def plain(self, path: str) -> Asked:
        """A request as it should be, with the token."""
        head = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\nAuthorization: token {self.token}\r\n"
        return Asked(f"{head}Connection: close\r\n\r\n".encode(), whole=True)


class Asker:
    """Makes requests by chance.

    Args:
        where: the server is.
        rng: decides.
        label: a label map, as 3D Slicer would send it.
        train: whether trainings may be begun.
    """

    def __init__(self, where: Where, rng: random.Random, label: bytes, train: bool) -> None:
        self.port, self.token, self.ids = where.port, where.token, where.ids
        self.rng, self.label = rng, label
        self.routes = ROUTES + (TRAININGS if train else [])

    def next(self) -> Asked:
        """Make one."""
        rng = self.rng
        if rng.random() < 0.03:
            return Asked(rng.randbytes(rng.choice((1, 10, 1000, 70_000))) + b"\r\n\r\n", whole=False)
        method, path = rng.choice(self.routes)
        body, kind = self._body(method, path)
        target = re.sub(r"{(\w+)}", lambda match: self._value(match[1]), path)
        if rng.random() < 0.06:
            method = rng.choice(METHODS)
        if rng.random() < 0.03:
            target = rng.choice(("", "*", "http://evil.example/", target * 200, target + "?" + "a=b&" * 500, "/\\.."))
        headers = [("Host", f"127.0.0.1:{self.port}"), ("Connection", "close"), ("Content-Type", kind)]
        if rng.random() < 0.92:
            headers.append(("Cookie", f"sammix-label-{self.port}={self.token}"))
        if rng.random() < 0.2:
            headers += rng.sample(HEADERS, rng.choice((1, 1, 2, 4)))
        return self._sent(method, target, headers, body)

    def _sent(self, method: str, target: str, headers: list[tuple[str, str]], body: bytes) -> Asked:
        """Put a request together, and now and then cut, claim or delay its body wrongly."""
        rng, whole, pause = self.rng, True, 0.0
        fate = rng.random()
        length: object = len(body)
        if fate < 0.03:
            length, whole = len(body) + rng.randrange(1, 5000), False
        elif fate < 0.05:
            length, whole = rng.choice((-1, "x", "", "9" * 30, 5 * 2**30, 65 * 2**20, "0, 0", "１")), False
        elif fate < 0.07:
            pause = 0.01
        if fate < 0.93:
            headers.append(("Content-Length", str(length)))
            sent = body
        else:
            headers.append(("Transfer-Encoding", "chunked"))
            sent = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body) if body else b"0\r\n\r\n"
            if rng.random() < 0.4:
                sent, whole = (
                    rng.choice((b"zz\r\n", b"ffffffffffffffffff\r\n", sent[: len(sent) // 2], b"5\r\nab")),
                    False,
                )
        head = f"{method} {target} HTTP/{rng.choice(('1.1',) * 30 + ('1.0', '2.0', '9'))}\r\n"
        head += "".join(f"{name}: {value}\r\n" for name, value in headers) + "\r\n"
        return Asked(head.encode("utf-8", "surrogateescape") + sent, whole, pause)

    def _value(self, name: str) -> str:
        rng = self.rng
        if rng.random() < 0.08:
            return rng.choice(WORDS)
        own = {
            "stack": NUMBERS[:3] * 6 + NUMBERS,
            "slice": tuple(map(str, range(12))) + NUMBERS,
            "id": self.ids * 4 + WORDS,
            "file": ("main.js", "style.css", "index.html", "../guard.py", *WORDS),
            "mask": ("0" * 64, hashlib.sha256(b"x").hexdigest(), *WORDS),
            "model": ("sammix", "sammix", "other"),
            "trainer": ("quick", "quick", "full", ""),
        }
        return rng.choice(own.get(name, WORDS))

    def _body(self, method: str, path: str) -> tuple[bytes, str]:
        rng = self.rng
        if method == "GET":
            return (b"", "text/plain") if rng.random() < 0.95 else (rng.randbytes(50), "text/plain")
        if path.startswith(("/datastore", "/infer")):
            body, kind = self._form(path)
        elif path.endswith("/mask"):
            body, kind = self._mask(), "application/octet-stream"
        else:
            body, kind = json.dumps(self._json(path)).encode(), "application/json"
        return (self._broken(body), kind) if rng.random() < 0.15 else (body, kind)

    def _mask(self) -> bytes:
        rng = self.rng
        mask = bytearray(PIXELS)
        for _ in range(rng.randrange(6)):
            start, length = rng.randrange(PIXELS), rng.randrange(1, 200)
            mask[start : start + length] = b"\1" * min(length, PIXELS - start)
        return bytes(mask) if rng.random() < 0.9 else rng.choice((b"", b"\2" * PIXELS, bytes(PIXELS + 1), bytes(2**20)))

    def _json(self, path: str) -> object:
        rng = self.rng
        if rng.random() < 0.15:
            return self._odd()
        numbers = [rng.uniform(-20, 70) for _ in range(4)]
        points = [[rng.uniform(-5, 60), rng.uniform(-5, 60), rng.choice((0, 1))] for _ in range(rng.randrange(4))]
        fitting: dict[str, object] = {
            "/mark": {rng.choice(("first", "last")): rng.randrange(-1, 14)},
            "/answer": {"label": rng.choice((-1, 0, 1))},
            "/proposal": {"kind": rng.choice(("box", "points", "auto")), "box": numbers, "points": points},
            "/use": {"model": rng.choice(("", "model-1", "../model-1"))},
            "/export": {"kind": rng.choice(("dataset", "dicom-seg")), "own_only": rng.random() < 0.5},
            "/learn": {
                "kind": rng.choice(("quick", "quick", "full")),
                **{wish: rng.random() < 0.5 for wish in ("own_only", "behind", "unasked")},
            },
        }
        body = next((value for end, value in fitting.items() if path.endswith(end)), {"client_id": rng.choice(WORDS)})
        if isinstance(body, dict) and rng.random() < 0.1:
            body = {**body, rng.choice((*body, "more")): self._odd()}
        return body

    def _odd(self, depth: int = 0) -> object:
        rng = self.rng
        plain: tuple[object, ...] = (None, True, -1, 2**70, 1e308, "", "\ud800", "ä" * 50, "\0", [], {})
        plain = (*plain, rng.random(), rng.choice(WORDS))
        if depth > 3 or rng.random() < 0.7:
            return rng.choice(plain)
        inner = [self._odd(depth + 1) for _ in range(rng.randrange(4))]
        return inner if rng.random() < 0.5 else {str(n): value for n, value in enumerate(inner)}

    def _broken(self, body: bytes) -> bytes:
        """Change some bytes, cut, repeat, or put something else in its place."""
        rng = self.rng
        changed = bytearray(body)
        for _ in range(rng.randrange(1, 6)):
            if changed:
                changed[rng.randrange(len(changed))] = rng.randrange(256)
        return rng.choice(
            (bytes(changed), body[: len(body) // 2], body * 2, b"[" * 50_000, b"{" + body, b'{"a":1e999}')
        )

    def _form(self, path: str) -> tuple[bytes, str]:
        rng = self.rng
        field_, limit = ("file" if "/?" in path else "label"), f"limit{rng.randrange(1000)}"
        names = [{"name": name, "idx": n} for n, name in enumerate(("liver", "no liver in this slice"), 1)]
        params: object = {"label_info": names, "client_id": rng.choice(WORDS), "complete": rng.random() < 0.1}
        if rng.random() < 0.2:
            params = rng.choice((self._odd(), {"label_info": self._odd()}, {"result_extension": self._odd()}))
        name = rng.choice(
            ("a.nii", "a.nii.gz", "/tmp/../a.seg.nrrd", "a.mha", "a.nrrd", "a.mhd", "a", "a.nii\0.exe", "")
        )
        lines = [
            f"--{limit}".encode(), b'Content-Disposition: form-data; name="params"', b"", json.dumps(params).encode(),
            f"--{limit}".encode(), f'Content-Disposition: form-data; name="{field_}"; filename="{name}"'.encode(),
            b"Content-Type: application/octet-stream", b"", self._volume(), f"--{limit}--".encode(), b"",
        ]  # fmt: skip
        if rng.random() < 0.1:
            lines[rng.randrange(len(lines))] = rng.choice(
                (b"", b"--", b"Content-Disposition: form-data", rng.randbytes(40))
            )
        return b"\r\n".join(lines), f"multipart/form-data; boundary={limit}"

    def _volume(self) -> bytes:
        """A label map or a scan: one of phantom 0's shape, whole or damaged, or something else."""
        rng = self.rng
        content = self.label
        if rng.random() < 0.5:
            return content
        header = b"NRRD0004\ntype: uchar\ndimension: 3\nsizes: 48 48 12\nencoding: raw\ndata file: /etc/passwd\n\n"
        return rng.choice(
            (self._broken(content), content[: rng.randrange(len(content))], b"", rng.randbytes(900), header)
        )
