"""Power cuts: the test itself passes on the agent, and fails where something is missing."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from agent.wall.outbox import Outbox
from tools.common.errors import ToolError
from tools.robustness.power import run
from tools.robustness.power.cli import text
from tools.robustness.power.writers import Perceive, configuration


@pytest.mark.slow
def test_power_cuts_lose_nothing(tmp_path: Path) -> None:
    try:
        report, kept = run.run(2, 5, tmp_path / "evidence")
    except ToolError as error:
        pytest.skip(str(error))
    assert report["passed"], report["violations"]
    assert report["cuts"] == 2
    assert kept is not None
    assert "2 of 2 whole" in text(report)


def test_what_was_said_and_is_not_there_is_found(tmp_path: Path) -> None:
    """Without a disk of its own: the invariants alone."""
    said: list[str] = []
    config = configuration(tmp_path)
    (tmp_path / "outbox").mkdir()
    perceive = Perceive(config, said.append, random.Random(1))
    for _ in range(3):
        perceive.step()
    campaign = run._Campaign.__new__(run._Campaign)
    campaign.said, campaign.found, campaign.lost = run.Said(), [], 0
    campaign._config, campaign._last = config, None
    for line in said:
        campaign.said.take(line)
    campaign._outbox()
    assert campaign.found == []
    campaign.said.take(f"added {said[0].split()[1]} 3")
    campaign.said.take("set 4")
    campaign.said.take("desired 4")
    campaign._outbox()
    campaign._settings()
    assert campaign.found == [
        f"summary {said[0].split()[1]}/3 is lost",
        "settings 0 after 4 to 4",
    ]
    with Outbox(config.store) as outbox:
        assert outbox.depth() >= 3
