"""Root's helper that restarts the machine for its camera: what it grants, and how often."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.host import reboot
from agent.host.reboot import A_DAY, APART, DAY, REQUEST, boot_id, due, load, main, request, store

HOUR = 3600.0


class Box:
    """A machine with a request in it."""

    def __init__(self, folder: Path) -> None:
        self.request, self.settings = folder / REQUEST, folder / "fleeting.toml"
        self.state = folder / "state"
        self.state.mkdir()
        self.settings.write_text("[source]\nreboot = true\n")
        self.request.write_bytes(request(boot_id()))
        self.restarts = 0

    def run(self) -> int:
        def restart() -> None:
            self.restarts += 1

        return main([str(self.request), str(self.state), str(self.settings)], restart)


@pytest.fixture
def box(tmp_path: Path) -> Box:
    return Box(tmp_path)


def test_a_request_is_granted_once_and_taken_away(box: Box) -> None:
    assert (box.run(), box.restarts) == (0, 1)
    assert not box.request.exists()
    assert (box.run(), box.restarts) == (0, 1), "there is none any more"


def test_six_hours_apart_by_the_time_that_the_machine_ran(
    box: Box, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tries = ((5 * HOUR, True), (60.0, False), (5.9 * HOUR, False), (6.1 * HOUR, True))
    for uptime, granted in tries:
        monkeypatch.setattr(reboot, "uptime", lambda uptime=uptime: uptime)
        box.request.write_bytes(request(boot_id()))
        before = box.restarts
        assert (box.run() == 0) is granted
        assert box.restarts - before == granted
        assert not box.request.exists()
    assert "less than six hours ago" in capsys.readouterr().err


def test_three_in_a_day() -> None:
    three = [6 * HOUR] * A_DAY
    assert due(three[:2], 6 * HOUR)
    assert not due(three, 6 * HOUR), "18 h after the first"
    assert due(three, 12 * HOUR)
    assert not due([1e6, 6 * HOUR, 6 * HOUR], 11 * HOUR), "how long it ran before is no matter"
    assert not due(None, 23 * HOUR)
    assert due(None, 25 * HOUR)


@given(st.lists(st.floats(0, 48 * HOUR), min_size=1, max_size=40), st.data())
def test_whatever_the_uptimes_the_cap_holds(uptimes: list[float], data: st.DataObject) -> None:
    """Time off comes on top; the record says nothing of it."""
    now, ran, granted = 0.0, list[float](), list[float]()
    booted = 0.0
    for each in uptimes:
        now = max(now, booted + each)
        if due(ran, now - booted):
            granted.append(now)
            ran = [*ran, now - booted][-A_DAY:]
            booted = now
        elif data.draw(st.booleans()):  # somebody pulls the plug, for some time
            booted = now = now + data.draw(st.floats(0, 10 * HOUR))
    assert all(later - one >= APART for one, later in itertools.pairwise(granted))
    assert all(fourth - one >= DAY for one, fourth in zip(granted, granted[A_DAY:], strict=False))


@pytest.mark.parametrize(
    "settings",
    ["", "[source]\n", "[source]\nreboot = false\n", "[source]\nreboot = 1\n", "source = 3",
     '[source]\nreboot = "true"\n', "reboot = true\n", "[source\n", "\x00"],
)  # fmt: skip
def test_only_where_the_site_says_so(box: Box, settings: str) -> None:
    box.settings.write_text(settings)
    assert (box.run(), box.restarts) == (1, 0)
    assert not box.request.exists()


def test_settings_with_a_byte_order_mark_are_read(box: Box) -> None:
    box.settings.write_bytes(b"\xef\xbb\xbf[source]\nreboot = true\n")
    assert box.run() == 0


@pytest.mark.parametrize("given", [b"", b"x" * 10_000, b"fleeting-reboot 1 other\n", b"\xff"])
def test_a_request_that_is_none_is_refused_and_taken_away(box: Box, given: bytes) -> None:
    box.request.write_bytes(given)
    assert (box.run(), box.restarts) == (1, 0)
    assert not box.request.exists()


def test_links_pipes_and_folders_are_not_followed(box: Box) -> None:
    other = box.settings.with_name("other")
    other.write_bytes(request(boot_id()))
    box.request.unlink()
    box.request.symlink_to(other)
    assert (box.run(), box.restarts) == (1, 0)
    assert other.exists()
    os.mkfifo(box.request)
    assert (box.run(), box.restarts) == (1, 0)
    box.request.mkdir()
    assert (box.run(), box.restarts) == (1, 0)


@pytest.mark.parametrize("damage", [b"", b"nonsense", b"fleeting-restarts 1\n-5\n", b"\0" * 64])
def test_a_damaged_record_waits_a_day(
    box: Box, damage: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    (box.state / "restarts").write_bytes(damage)
    monkeypatch.setattr(reboot, "uptime", lambda: 23 * HOUR)
    assert box.run() == 1
    box.request.write_bytes(request(boot_id()))
    monkeypatch.setattr(reboot, "uptime", lambda: 25 * HOUR)
    assert box.run() == 0
    assert load(box.state / "restarts") == [25 * HOUR]


def test_the_record_is_written_before_the_restart(box: Box) -> None:
    box.state.rmdir()
    box.state.touch()  # it cannot be written
    assert (box.run(), box.restarts) == (1, 0)


@pytest.mark.parametrize(
    "error",
    [subprocess.CalledProcessError(1, "systemctl"), subprocess.TimeoutExpired("systemctl", 60.0),
     FileNotFoundError(2, "none")],
)  # fmt: skip
def test_a_restart_that_comes_to_nothing_is_said_and_counted(
    box: Box, error: Exception, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails() -> None:
        raise error

    given = [str(box.request), str(box.state), str(box.settings)]
    assert main(given, fails) == 1
    assert f"asked in vain ({type(error).__name__})" in capsys.readouterr().err
    assert load(box.state / "restarts")


def test_a_record_is_read_back(tmp_path: Path) -> None:
    assert load(tmp_path / "none") == []
    store(tmp_path / "file", [1.9, 2.0])
    assert load(tmp_path / "file") == [1.0, 2.0]
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o600


def test_it_runs_alone(box: Box) -> None:
    """As the unit starts it: isolated and without packages. Refused: nothing restarts here."""
    box.settings.write_text("")
    done = subprocess.run(
        [sys.executable, "-I", "-S", reboot.__file__, str(box.request), str(box.state),
         str(box.settings)], capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "source.reboot is not true" in done.stderr
