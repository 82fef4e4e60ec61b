"""Timestamps strictly increase; a configuration opens its source."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.base.config import SourceConfig
from agent.base.errors import CaptureError
from agent.perceive.capture.resilient import open_source
from agent.perceive.capture.source import Timeline


def run(stamps: list[float], period: float = 0.04) -> tuple[list[float], int]:
    timeline = Timeline(period)
    placed = [timeline(stamp) for stamp in stamps]
    return [time for time, _ in placed], sum(not good for _, good in placed)


@pytest.mark.parametrize(
    ("stamps", "times", "bad"),
    [
        ([0.0, 0.04, 0.08], [0.0, 0.04, 0.08], 0),
        ([5.0, 5.04, 5.5], [5.0, 5.04, 5.5], 0),  # a gap is no fault
        ([0.0, 0.04, 0.04, 0.12], [0.0, 0.04, 0.08, 0.12], 1),  # one repeats
        ([0.0, 0.04, 0.01, 0.12], [0.0, 0.04, 0.08, 0.12], 1),  # one goes back
        ([9.0, 9.04, 1.0, 1.05, 1.10], [9.0, 9.04, 9.08, 9.13, 9.18], 1),  # the clock is set back
        ([0.0, 0.04, 1e6, 1e6 + 0.04], [0.0, 0.04, 0.08, 0.12], 1),  # jumps ahead
        ([0.0, float("nan"), 0.08], [0.0, 0.04, 0.08], 1),
        ([float("nan"), 0.04], [0.0, 0.04], 1),
        ([0.0, 0.0, 0.0], [0.0, 0.04, 0.08], 2),
    ],
)
def test_timestamps(stamps: list[float], times: list[float], bad: int) -> None:
    found, count = run(stamps)
    assert found == pytest.approx(times)
    assert count == bad


@given(st.lists(st.floats() | st.floats(-100, 100)))
def test_time_strictly_increases_whatever_the_stamps(stamps: list[float]) -> None:
    timeline = Timeline(1 / 30)
    last: float | None = None
    for stamp in stamps:
        time, good = timeline(stamp)
        if last is not None:
            assert last < time <= last + 60.0
            assert good or time == pytest.approx(last + 1 / 30)
        last = time


def test_restart_continues_one_period_later() -> None:
    timeline = Timeline(0.04)
    times = [timeline(stamp)[0] for stamp in (0.0, 0.04, 0.08)]
    timeline.restart()
    placed = [timeline(stamp) for stamp in (0.0, 0.04)]
    assert [*times, *(time for time, _ in placed)] == pytest.approx([0, 0.04, 0.08, 0.12, 0.16])
    assert all(good for _, good in placed)


def test_a_file_without_a_name_is_asked_for() -> None:
    with pytest.raises(CaptureError, match=r"source\.target"):
        open_source(SourceConfig(kind="file"))


def test_kinds_reach_their_own_source(tmp_path: Path) -> None:
    missing = tmp_path / "no.mkv"
    with pytest.raises(CaptureError, match="does not exist"):
        open_source(SourceConfig(kind="file", target=str(missing)))
