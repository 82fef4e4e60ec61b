"""Output files: whole, or written in place where the sandbox lets no other be made."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from agent.base import files
from agent.base.errors import StoreError
from agent.desk.trace.output import write_whole
from tests.fakes import full_disk


def refuse(*_: object) -> tuple[int, Path]:
    raise PermissionError(13, "Permission denied")


def test_in_place_where_no_file_may_be_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "out"
    path.write_bytes(b"older and longer")
    number = path.stat().st_ino
    monkeypatch.setattr(files, "_make_beside", refuse)
    write_whole(path, b"new", "trace")
    assert (path.read_bytes(), path.stat().st_ino) == (b"new", number)
    write_whole(path, lambda file: file.write(b"newer"), "trace")
    assert path.read_bytes() == b"newer"


def test_a_failure_names_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(StoreError, match=r"The trace .*out cannot be written: No space"):
        write_whole(tmp_path / "out", b"new", "trace")
    assert list(tmp_path.iterdir()) == []
