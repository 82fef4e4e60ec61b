"""The tour, whole: a real agent, a real browser."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.tools.fleet.console.test_chromium import CHROMIUM
from tools.common.mosquitto import installed
from tools.fleet.console.tour import tour

pytest.importorskip("playwright", reason="pip install playwright axe-playwright-python")


@pytest.mark.slow
@pytest.mark.skipif(installed() is None, reason="Mosquitto is not installed")
@pytest.mark.skipif(not CHROMIUM.exists(), reason="apt install chromium")
def test_the_whole_tour(tmp_path: Path) -> None:
    done = tour(tmp_path, str(CHROMIUM))
    assert done[-1] == "passed"
    assert len(list(tmp_path.glob("*.png"))) == 8
