"""What reading a video costs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.perceive.capture.films import film, quarters
from tools.bench.__main__ import main


@pytest.mark.slow
def test_both_decoders_are_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    video = film(tmp_path / "a.mkv", "mpeg4", [quarters()] * 12)
    assert main(["decode", str(video), "--json"]) == 0
    rows = json.loads(capsys.readouterr().out.splitlines()[-1])["rows"]
    assert [(row["way"], row["pictures"]) for row in rows] == [("the agent", 12), ("OpenCV", 12)]
    assert all(row["ms"] > 0 for row in rows)
