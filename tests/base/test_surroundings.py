"""Shells that hand over less than usual: one line, never a traceback."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from agent.base import surroundings

_FLEETING = f"'{sys.executable}' -P -m agent.cli"


def shell(script: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sh", "-c", script], cwd=folder, capture_output=True, text=True, check=False, timeout=120
    )


def test_a_full_disk_is_named(tmp_path: Path) -> None:
    ran = shell(f"{_FLEETING} config show >/dev/full", tmp_path)
    assert ran.returncode == 1
    assert ran.stderr == (
        "fleeting config: There is no room for what is written (No space left on device). Make "
        "room, or write elsewhere.\n"
    )


def test_a_folder_that_is_gone_is_named(tmp_path: Path) -> None:
    (tmp_path / "gone").mkdir()
    ran = shell(f"cd gone && rmdir ../gone && {_FLEETING} config show", tmp_path)
    assert ran.returncode == 78
    assert "no longer exists. Change to another one" in ran.stderr
    assert ran.stderr.count("\n") == 1


def test_a_closed_stream_is_no_free_number(tmp_path: Path) -> None:
    """What is opened next would be written over by what is printed."""
    (tmp_path / "says.py").write_text(
        "import os, sys\n"
        "from agent.base.surroundings import set_up_streams\n"
        "set_up_streams()\n"
        "with open('kept', 'w') as file:\n"
        "    print('words')\n"
        "    print('words', file=sys.stderr, flush=True)\n"
        "    sys.stdout.flush()\n"
        "    assert file.fileno() > 2\n"
        "    assert sys.stdin.read() == ''\n"
        "    file.write('mine')\n"
    )
    root = Path(surroundings.__file__).parents[2]
    ran = shell(f"PYTHONPATH='{root}' '{sys.executable}' says.py <&- >&- 2>&-", tmp_path)
    assert ran.returncode == 0
    assert (tmp_path / "kept").read_text() == "mine"


def test_the_verdict_survives_closed_streams(tmp_path: Path) -> None:
    ran = shell(f"{_FLEETING} config show <&- 2>&-", tmp_path)
    assert ran.returncode == 0
    assert "[source]" in ran.stdout


def test_no_number_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> int:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(os, "open", refuse)
    surroundings.drop_output()


@pytest.mark.parametrize(
    ("number", "says"),
    [(errno.EDQUOT, "Make room"), (errno.EMFILE, "ulimit -n"), (errno.ENFILE, "ulimit -n")],
)
def test_what_can_strike_anywhere(number: int, says: str) -> None:
    sentence = surroundings.said(OSError(number, "why"))
    assert sentence is not None
    assert says in sentence
    assert "(why)" in sentence


def test_other_errors_are_no_ones_weather() -> None:
    assert surroundings.said(FileNotFoundError(errno.ENOENT, "x")) is None
    assert surroundings.said(OSError("no number")) is None
