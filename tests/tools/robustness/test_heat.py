"""A day of heat in miniature."""

from __future__ import annotations

import json

import pytest

from agent.perceive.ladder import Step
from tools.robustness.__main__ import main
from tools.robustness.heat import run
from tools.robustness.heat.day import HOUR, surroundings

CURVE = ((0, 24), (0.5, 54), (1.2, 54), (1.3, 24), (24, 24))
"""Hour and degrees Celsius."""


@pytest.mark.slow
def test_a_hot_noon_is_survived_step_by_step(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(run, "DAY", 2.0 * HOUR)
    monkeypatch.setattr("tools.robustness.heat.day._SURROUNDINGS", CURVE)
    monkeypatch.setattr("tools.robustness.heat.day.WEAK", (600.0, 700.0))
    assert main(["heat", "--typical", "--json"]) == 0
    printed = capsys.readouterr().out
    report = json.loads(printed.splitlines()[-1])
    assert "10 frames/s, one face" in printed
    assert report["events"]["undervolt"] == 1
    assert report["highest"] < 90 < report["unlimited"]
    steps = [step for _, _, step, _ in report["rows"]]
    falls = [a - b for a, b in zip([0, *steps], steps, strict=False)]
    assert max(falls) == 1, "down one by one"


def test_the_ladder_that_does_nothing_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """The verdict can be bad."""
    monkeypatch.setattr(run, "DAY", 0.25 * HOUR)
    monkeypatch.setattr("tools.robustness.heat.day._SURROUNDINGS", ((0, 60), (24, 60)))
    monkeypatch.setattr("agent.perceive.heat.Heat._wanted", lambda heat: Step.ALL)
    report = run.run(run.Options(measured=False))
    assert not report["passed"]
    assert any("without a pause" in each for each in report["problems"])
    assert surroundings(0.0) == 60
