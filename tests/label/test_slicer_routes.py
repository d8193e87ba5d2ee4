"""MONAI Label's protocol over a real socket; its own client drives it in ``tests/whole/test_slicer_client.py``."""

from __future__ import annotations

import http.client
import json
import socket
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from sammix.label.serving import LabelServer

ID = "scan-4c8c790c532b"
"""Of ``volume-0``."""


def form(**fields: bytes | tuple[str, bytes]) -> tuple[bytes, dict[str, str]]:
    """A form as MONAI Label's client sends it: a body and its content type."""
    lines = []
    for name, value in fields.items():
        filename, content = value if isinstance(value, tuple) else (None, value)
        attachment = f'; filename="{filename}"' if filename is not None else ""
        lines += [b"--limit", f'Content-Disposition: form-data; name="{name}"{attachment}'.encode(), b"", content]
    return b"\r\n".join([*lines, b"--limit--", b""]), {"content-type": "multipart/form-data; boundary=limit"}


def ask(
    server: LabelServer, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
) -> tuple[int, Any, dict[str, str]]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    connection.request(method, path, body, headers or {})
    answer = connection.getresponse()
    told, kinds = answer.read(), {name.lower(): value for name, value in answer.getheaders()}
    connection.close()
    return answer.status, json.loads(told) if "json" in kinds.get("content-type", "") else told, kinds


def label_of(server: LabelServer, path: Path, change: Any = None) -> bytes:
    """A label map of volume-0 with its middle drawn."""
    volume = server.service.opened(0).scans[0].volume
    array = np.zeros(volume.array.shape, np.uint8)
    array[30:40, 30:40, 4:7] = 1
    affine = volume.affine if change is None else change(volume.affine.copy())
    nib.save(nib.Nifti1Image(array, affine), path)
    return path.read_bytes()


def test_nobody_logs_in_and_no_token_is_asked_for(server: LabelServer) -> None:
    assert ask(server, "GET", "/auth/")[:2] == (200, {"enabled": False, "client_id": None, "realm": None})


def test_info_has_what_the_module_reads(server: LabelServer) -> None:
    status, info, _ = ask(server, "GET", "/info/")
    assert status == 200
    assert info["labels"] == ["liver", "no liver in this slice", "no liver in all other slices"]
    assert (info["models"], set(info["trainers"]), list(info["strategies"])) == (
        {},
        {"quick", "full"},
        ["most helpful"],
    )
    assert info["datastore"]["total"] == 3
    assert "config" not in info
    assert {"name", "description", "version", "scoring", "train_stats"} <= info.keys()


def test_every_scan_is_offered_before_one_comes_again(server: LabelServer) -> None:
    offered = [ask(server, "POST", "/activelearning/anything", b'{"client_id": "x"}')[1] for _ in range(4)]
    assert len({one["id"] for one in offered[:3]}) == 3
    assert offered[3]["id"] == offered[0]["id"] == ID
    assert offered[0]["name"] == "volume-0.nii"
    assert Path(offered[0]["path"]).is_file()


def test_scans_are_listed_and_sent_under_their_name(server: LabelServer, scans: Path) -> None:
    objects = ask(server, "GET", "/datastore/?output=all")[1]["objects"]
    assert objects[ID]["image"] == {"ext": ".nii", "info": {"name": "volume-0.nii"}}
    status, content, headers = ask(server, "GET", f"/datastore/image?image={ID}")
    assert (status, content) == (200, (scans / "volume-0.nii").read_bytes())
    assert 'filename="volume-0.nii"' in headers["content-disposition"]
    assert ask(server, "GET", "/datastore/")[1]["total"] == 3


def test_a_label_is_kept_and_comes_back(server: LabelServer, tmp_path: Path) -> None:
    content = label_of(server, tmp_path / "a.nii.gz")
    params = {"label_info": [{"name": "liver", "idx": 1}], "client_id": "user-xyz", "more": [1]}
    body, kind = form(params=json.dumps(params).encode(), label=("/home/x/../tmp/a.nii.gz", content))
    status, told, _ = ask(server, "PUT", f"/datastore/label?image={ID}&tag=final", body, kind)
    assert (status, told["image"], told["label"]) == (200, ID, ID)
    assert told["sammix"] == {"slices": {"drawn": 3, "no": 0, "unchanged": 0}, "annotator": "ada", "remarks": []}
    assert [one.label for one in server.service.answers(server.service.opened(0))].count(1) == 3
    status, back, headers = ask(server, "GET", f"/datastore/label?label={ID}&tag=original")
    assert status == 200
    assert headers["content-disposition"].endswith('.nii.gz"')
    (tmp_path / "back.nii.gz").write_bytes(back)
    np.testing.assert_array_equal(
        nib.load(tmp_path / "back.nii.gz").get_fdata(), nib.load(tmp_path / "a.nii.gz").get_fdata()
    )
    objects = ask(server, "GET", "/datastore/?output=all")[1]["objects"]
    assert objects[ID]["labels"]["original"] == {"ext": ".nii.gz", "info": {"params": {"label_names": {"liver": 1}}}}
    assert ask(server, "GET", "/info/")[1]["datastore"]["completed"] == 1


def test_a_label_that_lies_elsewhere_is_refused_and_nothing_is_kept(server: LabelServer, tmp_path: Path) -> None:
    def moved(affine: np.ndarray) -> np.ndarray:
        affine[:, 3] += 0.3 * affine[:, 2]  # a third of a slice
        return affine

    before = server.service.project.record.count()
    body, kind = form(label=("a.nii.gz", label_of(server, tmp_path / "a.nii.gz", moved)))
    status, told, _ = ask(server, "PUT", f"/datastore/label?image={ID}", body, kind)
    assert status == 422
    assert "do not lie on those of the scan" in told["detail"]
    assert server.service.project.record.count() == before


NIFTI = ("a.nii.gz", b"no NIfTI")


@pytest.mark.parametrize(
    ("method", "path", "fields", "status"),
    [
        ("PUT", f"/datastore/label?image={ID}", {"label": NIFTI}, 422),
        ("PUT", f"/datastore/label?image={ID}", {"label": ("a.exe", b"x")}, 422),
        ("PUT", f"/datastore/label?image={ID}", {"label": ("a.mhd", b"x")}, 422),
        ("PUT", f"/datastore/label?image={ID}", {"label": b"a field and no file"}, 422),
        ("PUT", f"/datastore/label?image={ID}", {"other": NIFTI}, 422),
        ("PUT", f"/datastore/label?image={ID}", {"params": b"{", "label": NIFTI}, 422),
        ("PUT", f"/datastore/label?image={ID}", {"params": b"[" * 100_000, "label": NIFTI}, 422),
        ("PUT", f"/datastore/label?image={ID}", {"params": b'{"label_info": [{"name": 5}]}', "label": NIFTI}, 422),
        ("PUT", f"/datastore/label?image={ID}", {"a": NIFTI, "b": NIFTI, "label": NIFTI}, 400),
        ("PUT", "/datastore/label?image=..%2f..%2fproject.json", {"label": NIFTI}, 404),
        ("PUT", "/datastore/label", {"label": NIFTI}, 422),
        ("PUT", "/datastore/?image=..%2fup", {"file": NIFTI}, 409),
        ("PUT", "/datastore/?image=new", {"file": NIFTI}, 422),
        ("PUT", "/datastore/?image=volume-0", {"file": ("a.nii", b"")}, 422),
        ("POST", "/infer/other?image=volume-0", {"params": b"{}"}, 404),
        ("POST", f"/infer/sammix?image={ID}", {"params": b"{}"}, 409),
        ("POST", "/infer/sammix?image=no", {"params": b"{}"}, 404),
    ],
)
def test_forms_that_are_refused(
    server: LabelServer, method: str, path: str, fields: dict[str, Any], status: int
) -> None:
    got, told, _ = ask(server, method, path, *form(**fields))
    assert got == status
    assert "\n" not in told["detail"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("PUT", f"/datastore/label?image={ID}", 422),
        ("GET", "/datastore/image?image=no", 404),
        ("GET", "/datastore/image?image=..%2f..%2fproject.json", 404),
        ("GET", "/datastore/image", 422),
        ("GET", "/datastore/label?label=scan-2c80ec7a8910&tag=original", 404),
        ("GET", "/datastore/?output=train", 422),
        ("GET", "/datastore/..%2fproject.json", 404),
        ("POST", "/session/", 403),
        ("GET", "/info/more", 404),
        ("DELETE", f"/datastore/image?id={ID}", 404),
    ],
)
def test_requests_that_are_refused(server: LabelServer, method: str, path: str, status: int) -> None:
    got, told, _ = ask(server, method, path)
    assert got == status
    assert told.get("detail") or told.get("error")


@pytest.mark.parametrize("header", ["origin", "sec-fetch-site", "sec-fetch-mode"])
@pytest.mark.parametrize("path", ["/info/", "/datastore/?output=all", f"/datastore/image?image={ID}"])
def test_no_page_in_a_browser_may_use_what_needs_no_token(server: LabelServer, header: str, path: str) -> None:
    value = f"http://127.0.0.1:{server.port}" if header == "origin" else "same-origin"
    status, told, _ = ask(server, "GET", path, headers={header: value})
    assert (status, list(told)) == (403, ["detail"])


def test_a_foreign_host_is_refused_here_too(server: LabelServer) -> None:
    assert ask(server, "GET", "/info/", headers={"host": "evil.example"})[0] == 403


def test_a_scan_may_be_large_but_not_without_end(server: LabelServer) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as client:
        head = (
            f"PUT /datastore/?image=x HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nContent-Length: {5 * 2**30}\r\n\r\n"
        )
        client.sendall(head.encode())
        assert client.recv(100).split()[1] == b"413"
