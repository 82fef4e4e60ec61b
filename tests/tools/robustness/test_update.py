"""The update test itself: it passes on the updater, and fails where something is wrong."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import pytest

from agent.host.launch import CURRENT
from tools.common.clock import with_trusted_clock
from tools.common.errors import ToolError
from tools.robustness.__main__ import main
from tools.robustness.update import bad, releases, run
from tools.robustness.update.run import _Campaign


@pytest.mark.slow
def test_three_updates_end_to_end(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["update", "--times", "3", "--seed", "5"]) == 0
    said = capsys.readouterr().out
    assert "3 updates interrupted" in said
    assert "0 neither" in said
    assert said.endswith("passed\n")


@pytest.mark.slow
def test_power_cuts_on_a_file_system_of_their_own(tmp_path: Path) -> None:
    try:
        report, kept = run.run(3, 5, tmp_path / "evidence", power=True)
    except ToolError as error:
        pytest.skip(str(error))
    assert report["passed"], report["violations"]
    assert report["kills"] >= 3
    assert kept is not None


def test_a_slot_that_is_not_whole_is_found(tmp_path: Path) -> None:
    campaign = _Campaign(tmp_path, random.Random(1), power=False)
    old, new = releases.small("0.1.0", 0), releases.small("0.1.1", 1)
    place = tmp_path / "device"
    releases.write(new, place / "a")
    (place / CURRENT).symlink_to("a")
    campaign._examine((old, new), "at last")
    assert campaign.tally.violations == []
    (place / "a/agent/cli.py").write_text("half")
    campaign._examine((old, new), "at last")
    (place / "a/agent/cli.py").unlink()
    campaign._examine((old, new), "at last")
    (place / CURRENT).unlink()
    (place / CURRENT).symlink_to("b")
    campaign._examine((old, new), "at last")
    (place / "state.json").write_text("half")
    campaign._examine((), "at last")
    assert [each.split(" at last")[0] for each in campaign.tally.violations] == [
        "current leads to a slot of neither version",
        "current leads to a slot of neither version",
        "current leads nowhere",
        "current leads nowhere",
        "the record cannot be read",
    ]


def test_every_fault_is_one(tmp_path: Path) -> None:
    """Each is planted where it says, and what is built of it is a whole release."""
    for case in bad.CASES:
        files = releases.real("0.9.9", case.changes)
        assert releases.version_of(files) == "0.9.9"
        releases.write(files, tmp_path / case.name)
        for name in case.changes:
            if name.endswith(".py"):
                compile((tmp_path / case.name / name).read_text(), name, "exec")
    with pytest.raises(ValueError, match="not planted"):
        releases.real("0.9.9", {"agent/cli.py": lambda data: data})


def test_a_command_sees_a_trusted_clock() -> None:
    look = "from agent.base.clock import WallClock as W; print(W()().trust)"
    try:
        command = with_trusted_clock([sys.executable, "-c", look])
    except ToolError as error:
        pytest.skip(str(error))
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() != "none"
