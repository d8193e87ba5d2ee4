from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient

from sammix.label.service import Service
from sammix.label.web import Page, application


@pytest.fixture
def client(service: Service) -> TestClient:
    return TestClient(application(Page(service, "ada").routes()), raise_server_exceptions=False)


SLICE = "/api/stacks/0/slices/5"


def test_a_slice_is_sent_as_it_is(client: TestClient, service: Service) -> None:
    answer = client.get(f"{SLICE}/pixels")
    assert answer.headers["x-shape"] == "72,72"
    hu = np.frombuffer(answer.content, "<i2").reshape(72, 72)
    np.testing.assert_array_equal(hu, service.opened(0).hu(5))


def test_a_mask_goes_there_and_back(client: TestClient, disc: np.ndarray) -> None:
    assert client.get(f"{SLICE}/mask").status_code == 204
    told = client.put(f"{SLICE}/mask", content=disc.tobytes()).json()
    assert told["mask_how"] == "drawn"
    assert client.get(f"{SLICE}/mask").content == disc.tobytes()
    assert client.get("/api/stacks/0").json()["masks"][5] == told["mask"]


def test_answers_ends_and_undo(client: TestClient) -> None:
    client.post(f"{SLICE}/answer", json={"label": 1})
    assert client.post("/api/stacks/0/mark", json={"first": 4}).json() == {"marks": [4, None]}
    assert client.post("/api/stacks/0/mark", json={"last": 8}).json() == {"marks": [4, 8]}
    assert client.post("/api/undo").json() == {"place": [0, 7]} or client.get("/api/stacks/0").json()["undo"] == [2, 1]
    assert client.post("/api/redo").status_code == 200
    assert client.get("/api/stacks/0").json()["labels"] == [0] * 4 + [1] * 5 + [0] * 3


def test_interpolation_is_shown_and_then_kept(client: TestClient, disc: np.ndarray) -> None:
    for n in (3, 7):
        client.put(f"/api/stacks/0/slices/{n}/mask", content=disc.tobytes())
    shown = client.post(f"{SLICE}/interpolation")
    assert (shown.headers["x-between"], len(shown.content)) == ("3,7", 72 * 72)
    assert client.get(f"{SLICE}/mask").status_code == 204
    assert client.post(f"{SLICE}/interpolation?accept=1").json()["slices"] == [4, 5, 6]
    assert client.get(f"{SLICE}/mask").status_code == 200


def test_the_annotator_is_who_the_page_says(client: TestClient) -> None:
    client.post(f"{SLICE}/answer", json={"label": 1}, headers={"x-annotator": "J%C3%BCrgen"})
    assert client.get("/api/stacks/0").json()["who"][5] == "Jürgen"
    client.post(f"{SLICE}/answer", json={"label": 0})
    assert client.get("/api/stacks/0").json()["who"][5] == "ada"


@pytest.mark.parametrize("who", ["..", "a/b", "x" * 65, "%00", "ada%0A"])
def test_what_is_no_name_is_refused(client: TestClient, who: str) -> None:
    assert client.post(f"{SLICE}/answer", json={"label": 1}, headers={"x-annotator": who}).status_code == 400


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", f"{SLICE}/answer", {"label": 2}, 400),
        ("POST", f"{SLICE}/answer", {"label": True}, 400),
        ("POST", f"{SLICE}/answer", {"label": 1, "more": 1}, 400),
        ("POST", f"{SLICE}/answer", "not JSON", 400),
        ("POST", "/api/stacks/0/mark", {"first": -1}, 400),
        ("POST", "/api/stacks/0/mark", {"first": 12}, 409),
        ("POST", "/api/stacks/9/mark", {"first": 1}, 409),
        ("POST", "/api/stacks/99999999999999999999999/mark", {"first": 1}, 409),
        ("PUT", f"{SLICE}/mask", "short", 409),
        ("GET", "/api/stacks/0/slices/12/pixels", None, 409),
        ("GET", "/api/stacks/-1", None, 404),
        ("GET", "/page/none.js", None, 404),
        ("DELETE", "/api/undo", None, 405),
    ],
)
def test_every_refusal_says_why_in_one_line(client: TestClient, method: str, path: str, body: Any, status: int) -> None:
    content = body if isinstance(body, str) or body is None else json.dumps(body)
    answer = client.request(method, path, content=content)
    assert answer.status_code == status
    assert "\n" not in answer.json()["error"]


def test_a_scan_that_cannot_be_read_is_said(make_service: Callable[..., Service], tmp_path: Any, scans: Any) -> None:
    folder = tmp_path / "broken"
    folder.mkdir()
    (folder / "a.nii").write_bytes((scans / "volume-0.nii").read_bytes()[:3000])
    client = TestClient(application(Page(make_service(folder), "ada").routes()), raise_server_exceptions=False)
    answer = client.get("/api/stacks/0")
    assert answer.status_code == 422
    assert "a.nii" in answer.json()["error"]


def test_a_fault_of_ours_tells_nothing_of_the_inside(client: TestClient, service: Service) -> None:
    service.opened = None  # type: ignore[assignment,method-assign]
    answer = client.get("/api/stacks/0")
    assert answer.status_code == 500
    assert "NoneType" not in answer.text
