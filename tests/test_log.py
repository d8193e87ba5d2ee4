from __future__ import annotations

import contextlib
import logging
import subprocess
import sys

import pytest

from sammix.cli import main
from sammix.log import mute, on_terminal, say, show_on_terminal, track, warn, watched


def talk() -> list[int]:
    """One of everything that can be shown; no plain line is old enough to be printed."""
    say("100% read")
    warn("a doubt")
    return list(track(range(3), "reading"))


def state() -> tuple[object, ...]:
    """What a program that imports sammix may have set up, for itself and for sammix."""
    root, own = logging.getLogger(), logging.getLogger("sammix")
    return (list(root.handlers), root.level, list(own.handlers), own.level, own.propagate, own.disabled)


def test_in_python_nothing_is_printed_and_nothing_is_set_up(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    before = state()
    assert talk() == [0, 1, 2]
    assert capsys.readouterr() == ("", "")
    assert [(r.name, r.levelname, r.getMessage(), r.funcName) for r in caplog.records] == [
        ("sammix", "WARNING", "a doubt", "talk")
    ]
    assert state() == before


def test_a_program_that_wants_messages_gets_them(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "sammix"):
        talk()
    assert [r.getMessage() for r in caplog.records] == ["100% read", "a doubt"]


def test_without_any_logging_set_up_a_warning_is_seen_and_the_rest_is_not() -> None:
    code = "from sammix.log import say, warn, track; say('news'); warn('a doubt'); list(track([1], 'reading'))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "a doubt\n")


def test_the_command_line_prints_plain_lines(capsys: pytest.CaptureFixture[str]) -> None:
    with on_terminal():
        show_on_terminal(False)
        talk()
    assert capsys.readouterr() == ("", "100% read\nwarning: a doubt\n")


def test_quiet_leaves_warnings(capsys: pytest.CaptureFixture[str]) -> None:
    with on_terminal():
        show_on_terminal(True)
        talk()
        assert capsys.readouterr().err == "warning: a doubt\n"
        show_on_terminal(False)
        talk()
    assert capsys.readouterr().err == "100% read\nwarning: a doubt\n"


def test_one_of_several_processes_keeps_to_warnings(capsys: pytest.CaptureFixture[str]) -> None:
    with on_terminal():
        mute()
        talk()
    assert capsys.readouterr().err == "warning: a doubt\n"


def test_progress_is_plain_lines_where_there_is_no_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sammix.log.PLAIN_INTERVAL", -1.0)
    with on_terminal():
        talk()
    assert "reading: 2/3, about 0 s left\n" in capsys.readouterr().err


def test_progress_is_a_bar_on_a_terminal(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    with on_terminal():
        assert list(track(range(3), "reading")) == [0, 1, 2]
    shown = capsys.readouterr()
    assert "reading" in shown.err
    assert "3/3" in shown.err
    assert shown.out == ""


def test_all_is_as_before_once_it_has_been_shown(capsys: pytest.CaptureFixture[str]) -> None:
    before = state()
    with contextlib.suppress(KeyError), on_terminal():
        talk()
        raise KeyError
    assert state() == before
    capsys.readouterr()
    talk()
    assert capsys.readouterr().err == ""


def test_a_command_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    before = state()
    monkeypatch.setattr(sys, "argv", ["sammix", "info", "nowhere"])
    with pytest.raises(SystemExit):
        main()
    assert state() == before
    assert "nowhere" in capsys.readouterr().err


def test_progress_can_be_watched_in_place_of_being_shown(capsys: pytest.CaptureFixture[str]) -> None:
    told: list[tuple[str, int, int]] = []
    with on_terminal(), watched(lambda *one: told.append(one)):
        assert list(track("ab", "reading")) == ["a", "b"]
    assert told == [("reading", 1, 2), ("reading", 2, 2)]
    assert capsys.readouterr().err == ""
    list(track("ab", "reading"))
    assert len(told) == 2
