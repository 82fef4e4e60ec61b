"""The example of the page on reading numbers runs."""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest

from agent.desk.plan.trial import Device, days
from agent.desk.read.rates import RATES
from tests.desk.read.site import lines
from tests.desk.read.test_noise import policy

PAGE = Path(__file__).parents[3] / "docs" / "reading.md"


def test_the_example_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code = re.search(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert code
    rng = random.Random(2)
    device = Device(policy("retail-eu", window=3600), rng)
    told = days(device, rng, 6, 10, 80.0, RATES["attention"], (0.3, 0.6))
    (tmp_path / "summaries.txt").write_bytes(lines(told))
    monkeypatch.chdir(tmp_path)
    exec(compile(code[1], str(PAGE), "exec"), {})
    said = capsys.readouterr().out
    assert " visits in 60 windows" in said
    assert "expression_happiness_low" in said or "..." in said
    assert "Fewer visits looked for a second or longer with slot 0 than with slot 1: by " in said
