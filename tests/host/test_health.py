"""Which service is well, and what is said of one that is not."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from agent.host.health import Condition, Expected, Limits, examine, judge
from agent.host.heartbeat import Beat, boottime
from agent.host.launch import Starts, read_starts

NOW = 5000.0
STARTS = Starts("a", "1f.2e", 1, 42, 4000.0)
BEAT = Beat(42, "0.2.0", "ready", frozenset({"address"}), True, 4001.0, 4100.0, 4990.0)
PENDING = Expected(
    version="0.2.0", slot="a", link="1f.2e", known=("inet", "address"), allowed=("address",),
    max_starts=3,
)  # fmt: skip
SILENT = replace(BEAT, state="starting", ready=None, progress=None)


@pytest.mark.parametrize(
    ("condition", "beat", "starts", "alive"),
    [
        ("well", BEAT, STARTS, True),
        ("well", BEAT, replace(STARTS, count=3), True),
        ("absent", BEAT, None, True),
        ("absent", BEAT, replace(STARTS, slot="base", link="-"), True),
        ("absent", BEAT, replace(STARTS, link="1f.2d"), True),
        ("absent", BEAT, replace(STARTS, at=6000.0), True),  # of a boot before
        ("crashed", BEAT, replace(STARTS, count=4), True),
        ("crashed", BEAT, replace(STARTS, count=3), False),
        ("ended", BEAT, STARTS, False),
        ("ended", replace(BEAT, state="stopping"), STARTS, True),
        ("starting", None, replace(STARTS, at=4500.0), True),
        ("starting", SILENT, replace(STARTS, at=4500.0), True),
        ("starting", replace(BEAT, pid=41), replace(STARTS, at=4500.0), True),
        ("no_start", SILENT, STARTS, True),
        ("no_start", None, STARTS, True),
        ("other", replace(BEAT, version="0.1.0"), STARTS, True),
        ("open", replace(BEAT, openings=frozenset({"inet"})), STARTS, True),
        ("open", replace(BEAT, openings=None), STARTS, True),
        ("well", replace(BEAT, openings=frozenset({"newly_tried"})), STARTS, True),
        ("stalled", replace(BEAT, progress=4900.0), STARTS, True),
        ("stalled", replace(BEAT, progress=9000.0), STARTS, True),
    ],
)
def test_conditions(
    condition: Condition, beat: Beat | None, starts: Starts | None, alive: bool
) -> None:
    assert judge(beat, starts, alive, NOW, PENDING, Limits()) == condition


def test_limits_are_those_of_the_caller() -> None:
    stalled = replace(BEAT, progress=4980.0)
    assert judge(stalled, STARTS, True, NOW, PENDING, Limits(progress=10.0)) == "stalled"
    assert judge(stalled, STARTS, True, NOW, PENDING, Limits(progress=30.0)) == "well"


def test_without_expectations_only_life_is_looked_at() -> None:
    crashed_often = replace(STARTS, count=99, slot="base", link="-")
    assert judge(BEAT, crashed_often, True, NOW, Expected(), Limits()) == "well"


def test_files_of_a_service_that_nobody_runs(tmp_path: Path) -> None:
    assert examine(tmp_path, "perceive") == ("absent", None)
    now = boottime()
    (tmp_path / "perceive.starts").write_bytes(Starts("base", "-", 1, os.getpid(), now).encode())
    beat = replace(BEAT, pid=os.getpid(), started=now, ready=now, progress=now)
    (tmp_path / "perceive").write_bytes(beat.encode())
    condition, found = examine(tmp_path, "perceive")
    assert condition == "ended"  # nobody holds the lock
    assert found is not None
    for content in (b"", b"x" * 4096, (tmp_path / "perceive.starts").read_bytes() + b"\n"):
        (tmp_path / "perceive.starts").write_bytes(content)
        assert read_starts(tmp_path / "perceive.starts")[0] is None
        assert examine(tmp_path, "perceive")[0] == "absent"
    (tmp_path / "perceive.starts").unlink()
    os.mkfifo(tmp_path / "perceive.starts")
    assert examine(tmp_path, "perceive")[0] == "absent"
