"""When the machine is asked to restart for its camera."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from agent.host.reboot import REQUEST, boot_id, request
from agent.perceive import camera_exits
from agent.perceive.camera_exits import ENDS, EXITS, STATE, CameraExits, state_folder


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seconds since the machine started."""
    now = [100.0]
    monkeypatch.setattr(camera_exits, "boottime", lambda: now[0])
    return now


def test_the_fifth_end_within_an_hour_asks_once(tmp_path: Path, clock: list[float]) -> None:
    exits = CameraExits(tmp_path, allowed=True)
    for _ in range(ENDS - 1):
        clock[0] += 60
        assert not exits.add()
    assert not (tmp_path / REQUEST).exists()
    clock[0] += 60
    assert exits.add()
    assert (tmp_path / REQUEST).read_bytes() == request(boot_id())
    (tmp_path / REQUEST).unlink()
    clock[0] += 60
    assert not exits.add(), "counted anew"


def test_ends_that_are_far_apart_do_not_count(tmp_path: Path, clock: list[float]) -> None:
    exits = CameraExits(tmp_path, allowed=True)
    for _ in range(4 * ENDS):
        clock[0] += 3600 / (ENDS - 1) + 1
        assert not exits.add()


@pytest.mark.parametrize(
    "found", [b"", b"\xff\xfe", b"x" * 5000, b"another-boot\n1.0\n1.0\n1.0\n1.0\n1.0\n", b"\n\n\n"]
)
def test_another_boot_or_a_damaged_file_begins_anew(
    tmp_path: Path, clock: list[float], found: bytes
) -> None:
    (tmp_path / EXITS).write_bytes(found)
    exits = CameraExits(tmp_path, allowed=True)
    assert [exits.add() for _ in range(ENDS)] == [False] * (ENDS - 1) + [True]


def test_lines_that_are_no_times_are_passed_over(tmp_path: Path, clock: list[float]) -> None:
    (tmp_path / EXITS).write_text(f"{boot_id()}\nnan\n-1\n1e9\n99999999.0\n50.0\n60.5\n")
    exits = CameraExits(tmp_path, allowed=True)
    assert [exits.add() for _ in range(3)] == [False, False, True]


def test_nobody_is_asked_where_the_site_does_not_allow_it(tmp_path: Path) -> None:
    exits = CameraExits(tmp_path, allowed=False)
    assert not any(exits.add() for _ in range(3 * ENDS))
    assert not list(tmp_path.iterdir())


def test_without_systemd_it_is_said_and_not_done(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delenv(STATE, raising=False)
    with caplog.at_level(logging.WARNING):
        exits = CameraExits(state_folder(), allowed=True)
        assert not any(exits.add() for _ in range(3 * ENDS))
    assert "not run by systemd" in caplog.text


def test_a_folder_that_cannot_be_written_is_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    with caplog.at_level(logging.WARNING):
        assert not CameraExits(tmp_path / "file", allowed=True).add()
    assert "not counted: Not a directory" in caplog.text


def test_the_state_folder_is_systemds(monkeypatch: pytest.MonkeyPatch) -> None:
    for value, expected in (
        ("/var/lib/fleeting-perceive", Path("/var/lib/fleeting-perceive")),
        ("relative", None),
        ("/a:/b", None),
    ):
        monkeypatch.setenv(STATE, value)
        assert state_folder() == expected
