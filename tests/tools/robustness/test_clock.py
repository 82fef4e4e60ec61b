"""Clocks that lie: the agent comes through, and what does not is found."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.base.clock import WallClock
from agent.uplink.warden.warden import Warden
from tools.robustness.clock import run
from tools.robustness.clock.cli import text
from tools.robustness.clock.machine import Machine


@pytest.mark.slow
def test_a_few_days_on_one_machine() -> None:
    report = run.run(1, 7, days=3.0)
    assert report["passed"], report["violations"]
    assert report["released"] > 50
    assert "passed" in text(report)


@pytest.mark.slow
def test_a_warden_that_forgets_the_clock_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """It refuses what was released while the clock was wrong."""

    def narrow(warden: Warden) -> tuple[float, float]:
        utc = warden._utc()
        return (0.0, 4e9) if utc is None else (utc - 3600, utc + 3600)

    monkeypatch.setattr(Warden, "_starts", narrow)
    monkeypatch.setattr(run, "_STEPS", {name: run._STEPS[name] for name in run._STEPS
                                        if name.startswith("start, real-time")})  # fmt: skip
    report = run.run(2, 7, days=4.0)
    assert not report["passed"]


def test_a_machine_is_seen_as_it_says(tmp_path: Path) -> None:
    machine = Machine(tmp_path / "rtc0", 1_800_000_000.0)
    with machine.entered():
        assert WallClock()().trust == "none"
        machine.start(-86_400.0, -86_400.0)  # its real-time clock lies
        assert (WallClock()().trust, WallClock().utc()) == ("rtc", 1_799_913_600.0)
        machine.start(-86_400.0, -1.8e9)  # a file's time, beside a clock that begins in 1970
        assert WallClock()().trust == "none"
        machine.synchronised = True
        machine.pass_time(60.0)
        assert (WallClock()().trust, WallClock().utc()) == ("ntp", 1_800_000_060.0)
