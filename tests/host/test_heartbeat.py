"""A sign of life: a whole record or none, from who may write it and from who abuses it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent import __version__
from agent.host import heartbeat, sd_notify
from agent.host.heartbeat import SIZE, Beat, decode, read

SECONDS = st.integers(0, 10**10).map(lambda each: each / 1000)
NAMES = st.sampled_from(["inet", "file", "address", "port", "device", "unix"])
BEATS = st.builds(
    Beat,
    pid=st.integers(1, 2**22),
    version=st.sampled_from(["0.1.0", "9999.9999.9999"]),
    state=st.sampled_from(["starting", "ready", "stopping"]),
    openings=st.none() | st.frozensets(NAMES),
    connected=st.none() | st.booleans(),
    started=SECONDS,
    ready=st.none() | SECONDS,
    progress=st.none() | SECONDS,
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv(heartbeat.FOLDER, str(tmp_path))
    yield tmp_path
    monkeypatch.delenv(heartbeat.FOLDER)
    heartbeat.open_file("none")


@given(BEATS)
def test_what_is_written_is_read(beat: Beat) -> None:
    data = beat.encode()
    assert len(data) == SIZE
    assert decode(data) == beat


@given(BEATS, st.integers(0, SIZE - 1), st.integers(1, 255))
def test_no_altered_record_is_read(beat: Beat, at: int, change: int) -> None:
    data = bytearray(beat.encode())
    data[at] ^= change
    assert decode(bytes(data)) is None


@given(BEATS, BEATS, st.integers(1, SIZE - 1))
def test_half_of_one_and_half_of_another_is_none(one: Beat, other: Beat, cut: int) -> None:
    mixed = one.encode()[:cut] + other.encode()[cut:]
    assert decode(mixed) in (None, one, other)


def test_a_service_says_how_far_it_is(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(heartbeat, "boottime", lambda: now[0])
    heartbeat.open_file("perceive")
    path = folder / "perceive"
    expected = Beat(os.getpid(), __version__, started=100.0)
    assert read(path) == expected
    heartbeat.sandboxed(["inet"])
    sd_notify.ready("running")
    expected = replace(
        expected, openings=frozenset({"inet"}), state="ready", ready=100.0, progress=100.0
    )
    assert read(path) == expected
    now[0] = 105.0
    sd_notify.watchdog()  # also where no service manager watches
    assert read(path) == replace(expected, progress=105.0)
    heartbeat.connected(True)
    sd_notify.stopping()
    assert read(path) == replace(expected, progress=105.0, connected=True, state="stopping")


def test_progress_is_written_once_a_second_and_by_no_clock(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, written = [100.0], []
    monkeypatch.setattr(heartbeat, "boottime", lambda: now[0])
    heartbeat.open_file("perceive")
    monkeypatch.setattr(os, "pwrite", lambda *given: written.append(now[0]))
    for _ in range(80):  # 10 s at eight a second
        now[0] += 0.125
        sd_notify.watchdog()
    assert len(written) == 10
    now[0] += 60.0
    sd_notify.status("still here")
    assert len(written) == 10


@pytest.mark.parametrize("named", [None, "", "relative", "/no/such/folder"])
def test_without_a_folder_nothing_is_said(
    named: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(heartbeat.FOLDER, raising=False)
    if named is not None:
        monkeypatch.setenv(heartbeat.FOLDER, named)
    heartbeat.open_file("perceive")
    heartbeat.ready()
    heartbeat.progress()
    heartbeat.sandboxed([])
    heartbeat.stopping()


def test_who_writes_the_folder_cannot_lead_elsewhere(folder: Path, tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_text("kept")
    (folder / "perceive").symlink_to(target)
    heartbeat.open_file("perceive")
    heartbeat.ready()
    assert target.read_text() == "kept"


def test_a_hostile_file_is_none(tmp_path: Path) -> None:
    whole = Beat(1, "0.1.0").encode()
    good = tmp_path / "good"
    good.write_bytes(whole)
    assert read(good) is not None
    cases = {
        "short": whole[:-1],
        "long": whole + b" ",
        "huge": whole * 10_000,
        "empty": b"",
        "binary": os.urandom(SIZE),
    }
    for name, data in cases.items():
        (tmp_path / name).write_bytes(data)
    (tmp_path / "link").symlink_to(good)
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    for name in (*cases, "link", "folder", "pipe", "absent"):
        assert read(tmp_path / name) is None, name


def test_a_sealed_process_still_writes_its_own(tmp_path: Path) -> None:
    """The file is opened before; no system call is new (seccomp), no path is (Landlock)."""
    script = (
        "from agent.host import heartbeat, sd_notify\n"
        "from agent.host.sandbox.enter import enter_perceive\n"
        "heartbeat.open_file('perceive')\n"
        "found = enter_perceive([])\n"
        "heartbeat.sandboxed(found.found_open)\n"
        "sd_notify.ready()\n"
        f"print(open({str(tmp_path / 'perceive')!r}, 'a'))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False,
        env={**os.environ, heartbeat.FOLDER: str(tmp_path)},
    )  # fmt: skip
    beat = read(tmp_path / "perceive")
    assert beat is not None
    assert beat.state == "ready"
    if beat.openings is not None and "file" not in beat.openings:
        assert "PermissionError" in done.stderr
