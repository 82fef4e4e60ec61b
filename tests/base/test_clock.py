"""Wall time is used only while the clock is trusted."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from agent.base import clock
from agent.base.clock import WallClock


@pytest.fixture
def sources(monkeypatch: pytest.MonkeyPatch) -> dict[str, bool]:
    state = {"ntp": False, "rtc": False}
    monkeypatch.setattr(clock, "_synchronised", lambda: state["ntp"])
    monkeypatch.setattr(clock, "_set_from_rtc", lambda now: state["rtc"])
    return state


def test_trust_follows_synchronisation_and_remembers_it(sources: dict[str, bool]) -> None:
    wall = WallClock()
    assert (wall().trust, wall().utc_offset, wall.utc()) == ("none", None, None)
    sources["rtc"] = True
    assert wall().trust == "rtc"
    sources["ntp"] = True
    assert wall().trust == "ntp"
    sources["ntp"] = False
    assert wall().trust == "holdover"
    utc_offset, utc = wall().utc_offset, wall.utc()
    assert utc_offset is not None
    assert utc is not None
    assert abs(time.monotonic() + utc_offset - time.time()) < 0.1
    assert abs(utc - time.time()) < 0.1


def test_a_clock_in_the_past_is_never_trusted(
    sources: dict[str, bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    sources.update(ntp=True, rtc=True)
    monkeypatch.setattr("agent.base.clock.time.time", lambda: 1_000.0)
    assert WallClock()().trust == "none"
    assert WallClock().utc() is None


def test_the_kernel_is_asked_without_harm() -> None:
    assert clock._kernel_synchronised() in (True, False)


def test_a_clock_beyond_what_a_message_can_say_is_never_trusted(
    sources: dict[str, bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    sources.update(ntp=True, rtc=True)
    monkeypatch.setattr("agent.base.clock.time.time", lambda: 4_200_000_000.0)
    assert WallClock()().trust == "none"


@pytest.mark.parametrize(
    ("hctosys", "apart", "trusted"),
    [
        ("1", 0, True),
        ("1", 2 * 3600, True),  # it keeps local time
        ("1", -5.5 * 3600, True),
        ("1", 14 * 86_400, False),  # fake-hwclock, with a real-time clock that has no battery
        ("1", 20 * 3600, False),
        ("1", 400, False),
        ("0", 0, False),
        (None, 0, False),
    ],
)
def test_a_real_time_clock_counts_while_it_agrees(
    hctosys: str | None,
    apart: float,
    trusted: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(clock, "_RTC", tmp_path)
    if hctosys is not None:
        (tmp_path / "hctosys").write_text(f"{hctosys}\n")
        (tmp_path / "since_epoch").write_text(f"{1_800_000_000 - int(apart)}\n")
    assert clock._set_from_rtc(1_800_000_000.0) is trusted


@pytest.mark.parametrize(("step", "trust"), [(1.0, "holdover"), (-3600.0, "none"), (90.0, "none")])
def test_a_clock_that_was_set_by_hand_is_no_holdover(
    sources: dict[str, bool], monkeypatch: pytest.MonkeyPatch, step: float, trust: str
) -> None:
    now = 1_800_000_000.0
    monkeypatch.setattr("agent.base.clock.time.time", lambda: now)
    sources["ntp"] = True
    wall = WallClock()
    assert wall().trust == "ntp"
    sources["ntp"] = False
    now += step
    assert wall().trust == trust
