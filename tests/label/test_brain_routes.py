from __future__ import annotations

import http.client
import json
from typing import Any

import pytest

from sammix.label.serving import LabelServer


def ask(server: LabelServer, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=120)
    content = None if body is None else json.dumps(body)
    connection.request(method, path, content, {"authorization": f"token {server.token}"})
    answer = connection.getresponse()
    told = answer.read()
    connection.close()
    kind = answer.getheader("content-type") or ""
    return answer.status, json.loads(told) if "json" in kind else told


def test_a_proposal_is_asked_for_fetched_and_known_when_it_comes_back(server: LabelServer) -> None:
    status, told = ask(server, "POST", "/api/stacks/0/slices/6/proposal", {"kind": "box", "box": [10, 10, 50, 50]})
    assert status == 200
    status, mask = ask(server, "GET", f"/api/proposals/{told['name']}")
    assert (status, len(mask)) == (200, 72 * 72)
    assert set(mask) <= {0, 1}


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/api/stacks/0/slices/6/proposal", {"kind": "box", "box": [1, 2]}, 409),
        ("POST", "/api/stacks/0/slices/6/proposal", {"kind": "box", "box": [1.0] * 5}, 400),
        ("POST", "/api/stacks/0/slices/6/proposal", {"kind": "points", "points": [[3.0, 3.0, 0.0]]}, 409),
        ("POST", "/api/stacks/0/slices/6/proposal", {"kind": "points", "points": [[1.0] * 3] * 101}, 400),
        ("POST", "/api/stacks/0/slices/6/proposal", {"kind": "auto"}, 409),
        ("POST", "/api/stacks/0/slices/99/proposal", {"kind": "auto"}, 409),
        ("GET", "/api/proposals/..%2f..%2fproject.json", None, 404),
        ("GET", "/api/proposals/abc", None, 422),
        ("GET", "/api/stacks/0/slices/6/map", None, 204),
        ("POST", "/api/models/use", {"model": "../elsewhere"}, 409),
        ("POST", "/api/learn", {"kind": "forever"}, 400),
        ("POST", "/api/learn/stop", {}, 409),
        ("POST", "/api/export", {"kind": "dataset", "path": "/etc"}, 400),
        ("POST", "/api/export", {"kind": "dicom-seg"}, 422),
    ],
)
def test_refusals(server: LabelServer, method: str, path: str, body: Any, status: int) -> None:
    assert ask(server, method, path, body)[0] == status


def test_order_looks_and_state_are_told_from_the_first_moment(server: LabelServer) -> None:
    order = ask(server, "GET", "/api/order")[1]["order"]
    assert [(one["stack"], one["why"]) for one in order] == [(n, "mark both ends: F and L") for n in (0, 2, 1)]
    status, looks = ask(server, "GET", "/api/stacks/1/looks")
    assert (status, looks) == (200, {"presence": [None] * 12, "doubt": [None] * 12})
    state = ask(server, "GET", "/api/brain")[1]
    assert (state["model"], state["training"]) == (None, None)


def test_what_is_taken_away_lies_within_the_labelling(server: LabelServer) -> None:
    ask(server, "POST", "/api/stacks/2/slices/6/answer", {"label": 1})
    status, told = ask(server, "POST", "/api/export", {"kind": "dataset"})
    assert status == 200
    assert told["folder"].startswith(str(server.service.project.folder / "exports"))
    assert (told["scans"], told["slices"]) == (1, 1)
