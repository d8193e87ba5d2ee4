from __future__ import annotations

import re
import signal
import socket
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import pytest


def test_it_prints_the_address_and_ends_in_good_order(
    start_sammix: Callable[..., subprocess.Popen[str]], hospital_a: Path, tmp_path: Path
) -> None:
    command = ("label", hospital_a, "--store", tmp_path / "labels", "--port", "0", "--preset", "tiny", "--no-open")
    program = start_sammix(*command)
    assert program.stdout is not None
    address = program.stdout.readline().strip()
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/\?token=\S{43}", address)
    assert b"sammix" in urllib.request.build_opener(urllib.request.HTTPCookieProcessor()).open(address).read()
    second = start_sammix(*command)
    _, errors = second.communicate()
    assert second.returncode == 2
    assert f"in use by process {program.pid}" in errors
    program.send_signal(signal.SIGINT)
    _, errors = program.communicate()
    assert "Traceback" not in errors
    assert address.split("=")[1] not in errors


def test_another_address_is_warned_of_needs_the_token_and_the_log_tells_no_patient(
    start_sammix: Callable[..., subprocess.Popen[str]], write_series: Callable[..., Path], tmp_path: Path
) -> None:
    data = write_series(tmp_path / "study/series")
    options = ("--store", tmp_path / "labels", "--port", "0", "--preset", "tiny", "--no-open", "--host", "127.0.0.2")
    program = start_sammix("label", data.parent, *options)
    assert program.stdout is not None
    address, _, token = program.stdout.readline().strip().partition("/?token=")
    assert address.startswith("http://127.0.0.2:")
    stack = "/api/stacks/0"
    for path in ("/api/session", stack, f"{stack}/slices/0/pixels", f"{stack}/slices/99/pixels", "/nothing"):
        for headers in ({}, {"authorization": f"token {token}"}):
            asked = urllib.request.Request(address + path, headers=headers)
            assert (answered(asked) == 403) is (not headers)
    program.send_signal(signal.SIGINT)
    _, errors = program.communicate()
    assert "can be reached from other machines (127.0.0.2)" in errors
    assert "prefer an SSH tunnel" in errors
    assert not re.search(r"secret|api/", errors, re.IGNORECASE)  # nor any address that was asked for
    assert token not in errors


def test_at_every_address_it_prints_where_others_find_it_and_answers_there(
    start_sammix: Callable[..., subprocess.Popen[str]], hospital_a: Path, tmp_path: Path
) -> None:
    options = ("--store", tmp_path / "labels", "--port", "0", "--preset", "tiny", "--no-open", "--quiet")
    program = start_sammix("label", hospital_a, *options, "--host", "0.0.0.0", "--allow-host", "Labels.example.org")
    assert program.stdout is not None
    addresses = [urlsplit(program.stdout.readline().strip()) for _ in range(2)]
    assert addresses[0].hostname == "127.0.0.1"
    assert addresses[1].hostname not in ("127.0.0.1", "0.0.0.0", None)
    assert addresses[0].query == addresses[1].query
    here = f"http://127.0.0.1:{addresses[0].port}/api/session"
    token = {"authorization": f"token {addresses[0].query.removeprefix('token=')}"}
    hosts = {
        addresses[1].netloc: 200,
        f"{socket.gethostname()}:{addresses[0].port}": 200,
        "10.0.0.7:8765": 200,
        "labels.example.org": 200,
        "evil.example": 403,
    }
    for host, expected in hosts.items():
        for headers, status in ((token, expected), ({}, 403)):
            assert answered(urllib.request.Request(here, headers={**headers, "host": host})) == status, host
    program.send_signal(signal.SIGINT)
    program.communicate()


def answered(asked: urllib.request.Request) -> int:
    try:
        status: int = urllib.request.urlopen(asked).status
    except urllib.error.HTTPError as error:
        return error.code
    return status


@pytest.mark.parametrize(
    "arguments",
    [
        ("--allow-host", "http://labels.example.org/"),
        ("--allow-host", "*"),
        ("--slicer", "--allow-host", "labels.example.org"),
        ("--organ", "../liver"),
        ("--annotator", ""),
        ("--annotator", "ada\n"),
        ("--port", "70000"),
        ("--preset", "none"),
        ("--slicer", "--host", "127.0.0.2"),
    ],
)
def test_what_cannot_be_is_refused(run: Callable[..., int], hospital_a: Path, arguments: tuple[str, ...]) -> None:
    assert run("label", hospital_a, *arguments) == 2


def test_nothing_to_label_is_said(run: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("label", tmp_path, "--no-open") == 2
    assert "error:" in capsys.readouterr().err
