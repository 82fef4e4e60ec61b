"""Files are replaced atomically."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from agent.base.files import close_umask, refuse_endless, write_atomically
from tests.fakes import full_disk


def test_content_and_permissions(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_atomically(tmp_path / "shared", b"one")
        write_atomically(tmp_path / "secret", b"two", 0o600)
        write_atomically(tmp_path / "public", lambda file: file.write(b"three"), 0o644)
    finally:
        os.umask(before)
    found = {each.name: (each.read_bytes(), each.stat().st_mode & 0o777)
             for each in tmp_path.iterdir()}  # fmt: skip
    assert found == {
        "shared": (b"one", 0o640), "secret": (b"two", 0o600), "public": (b"three", 0o644)
    }  # fmt: skip


@pytest.mark.parametrize(
    ("given", "found"),
    [(0, 0o007), (0o777, 0o077), (0o022, 0o027), (0o007, 0o007), (0o027, 0o027), (0o077, 0o077)],
)
def test_others_are_left_out_and_the_user_is_not(given: int, found: int) -> None:
    before = os.umask(given)
    try:
        close_umask()
    finally:
        after = os.umask(before)
    assert after == found


@pytest.mark.parametrize("name", ["fsync", "replace", "fchmod"])
def test_a_failure_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    path = tmp_path / "file"
    write_atomically(path, b"old")
    monkeypatch.setattr(os, name, full_disk)
    with pytest.raises(OSError, match="No space"):
        write_atomically(path, b"new", 0o604)
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]


def test_a_mode_that_the_file_has_already_is_not_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sandbox refuses to change any."""
    monkeypatch.setattr(os, "fchmod", full_disk)
    write_atomically(tmp_path / "secret", b"new", 0o600)
    assert (tmp_path / "secret").stat().st_mode & 0o777 == 0o600


def test_a_file_system_without_fsync_of_folders_is_no_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.fsync

    def fsync(number: int) -> None:
        if os.path.isdir(f"/proc/self/fd/{number}"):
            raise OSError(errno.EINVAL, "Invalid argument")
        real(number)

    monkeypatch.setattr(os, "fsync", fsync)
    write_atomically(tmp_path / "file", b"new")
    assert (tmp_path / "file").read_bytes() == b"new"


def test_pipes_and_devices_are_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "file").touch()
    refuse_endless(tmp_path / "file")
    for each in (tmp_path / "pipe", Path("/dev/zero")):
        with pytest.raises(OSError, match="a pipe or a device"):
            refuse_endless(each)
