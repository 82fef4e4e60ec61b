"""The bench of intervals finds out where they do not hold."""

from __future__ import annotations

import json

import pytest

from agent.desk.read import interval
from tools.bench import __main__ as bench
from tools.bench import intervals
from tools.bench.intervals import SITES, held, intervals_text, least, measure


def test_a_report_says_what_held() -> None:
    report = measure(2, 1, SITES[:1], clock=lambda: 0.5)
    assert report["sites"][0]["asked"]["visits"] <= 2
    said = intervals_text(report)
    assert "100,000 windows are added in 0.5 s" in said
    assert "retail-eu" in said
    json.dumps(report)


def test_intervals_that_are_too_narrow_do_not_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = interval.tails

    def narrow(level: float, side: interval.Side) -> tuple[float, float]:
        return honest(0.5, side)

    for module in ("interval", "intervals", "invert"):
        monkeypatch.setattr(f"agent.desk.read.{module}.tails", narrow)
    report = measure(12, 1, SITES[:1], clock=lambda: 0.5)
    assert not report["passed"]


def test_the_subcommand_is_there(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        bench.main(["intervals", "--help"])
    assert "less often than its level" in capsys.readouterr().out
    assert intervals.KINDS[0] == "windows"
    assert 0.8 < least(40) < least(4000) < 0.95
    assert held(SITES[2], 1, 5)["asked"]["windows"] == SITES[2].windows
