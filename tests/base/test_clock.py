"""Wall time is used only while the clock is trusted."""

from __future__ import annotations

import time

import pytest

from agent.base import clock
from agent.base.clock import WallClock


@pytest.fixture
def sources(monkeypatch: pytest.MonkeyPatch) -> dict[str, bool]:
    state = {"ntp": False, "rtc": False}
    monkeypatch.setattr(clock, "_synchronised", lambda: state["ntp"])
    monkeypatch.setattr(clock, "_set_from_rtc", lambda: state["rtc"])
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
