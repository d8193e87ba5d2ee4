from __future__ import annotations

import re
import signal
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

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
            try:
                status = urllib.request.urlopen(asked).status
            except urllib.error.HTTPError as error:
                status = error.code
            assert (status == 403) is (not headers)
    program.send_signal(signal.SIGINT)
    _, errors = program.communicate()
    assert "can be reached from other machines (127.0.0.2)" in errors
    assert "prefer an SSH tunnel" in errors
    assert not re.search(r"secret|api/", errors, re.IGNORECASE)  # nor any address that was asked for
    assert token not in errors


@pytest.mark.parametrize(
    "arguments",
    [
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
