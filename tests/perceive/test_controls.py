"""Quiet hours follow the machine's time zone, also where it is changed while the process runs."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.base.clock import ClockReading
from agent.base.settings_file import parse
from agent.perceive import controls
from agent.perceive.controls import RuntimeControls

_NOON = 1_800_014_400.0
"""2027-01-15 12:00 UTC."""


@pytest.fixture
def zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """Sets TZ; afterwards the C library has the old one again."""
    with monkeypatch.context() as patch:
        yield patch
    time.tzset()


def test_quiet_hours_follow_a_time_zone_that_changes(
    tmp_path: Path, zone: pytest.MonkeyPatch
) -> None:
    zone.setenv("TZ", "UTC")
    time.tzset()
    now = 1000.0
    zone.setattr(time, "monotonic", lambda: now)
    config = parse({"store": {"outbox": str(tmp_path / "outbox.db")}}, "a test")
    runtime = RuntimeControls(config, lambda: ClockReading("ntp", _NOON - now), live=True)
    runtime.set_quiet_hours(("22:00-06:00",))
    modes = [runtime.mode]
    zone.setenv("TZ", "Asia/Tokyo")  # 21:00
    now += 3600.0
    zone.setattr(runtime, "_clock", lambda: ClockReading("ntp", _NOON + 3600.0 - now))  # 22:00
    runtime.poll()
    assert [*modes, runtime.mode] == ["running", "quiet"]


def test_a_time_zone_that_cannot_be_read_stays_as_it_was(
    tmp_path: Path, zone: pytest.MonkeyPatch
) -> None:
    zone.setattr(controls, "_ZONE", tmp_path / "none")
    zone.setattr(time, "tzset", lambda: pytest.fail("it was read"))
    config = parse({"store": {"outbox": str(tmp_path / "outbox.db")}}, "a test")
    RuntimeControls(config, lambda: ClockReading("none", None), live=True)
