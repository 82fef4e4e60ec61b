"""The flood: no more than the printed day arrives, and where more does, it is seen."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tools.common.mosquitto import installed
from tools.robustness.__main__ import main
from tools.robustness.flood import run as flood


@pytest.mark.slow
@pytest.mark.skipif(installed() is None, reason="mosquitto is not installed")
def test_the_printed_day_holds_and_a_smaller_one_would_be_missed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    printed, report = flood._printed, flood._Flood.report
    good: list[dict[str, Any]] = []

    def then_smaller(campaign: flood._Flood) -> dict[str, Any]:
        good.append(report(campaign))
        monkeypatch.setattr(
            flood,
            "_printed",
            lambda settings: {
                name: line | {"a_day": 1} for name, line in printed(settings).items()
            },
        )
        return report(campaign)

    monkeypatch.setattr(flood._Flood, "report", then_smaller)
    assert main(["flood", "--rows", "60", "--json"]) == 1
    words = capsys.readouterr().out
    assert good[0]["problems"] == []
    kinds = good[0]["kinds"]
    assert 60 <= kinds["summary"]["arrived"] <= kinds["summary"]["a_day"] == 976
    assert kinds["event"]["arrived"] <= kinds["event"]["a_day"]
    assert kinds["receipt"]["arrived"] == 0
    told = json.loads(words.splitlines()[-1])
    assert not told["passed"]
    assert any("summary arrived, 1 are printed" in each for each in told["problems"])
