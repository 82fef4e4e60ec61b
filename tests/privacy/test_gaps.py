"""Long gaps: recordings triggered by motion, time-lapse, a camera that was away for minutes."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from agent.base.report import Summary
from agent.base.settings_file import parse
from agent.base.types import Perceived
from agent.privacy.policy.rules import resolve
from agent.privacy.releaser import Releaser
from tests.privacy.people import face

FPS = 30.0


def released(frames: Iterable[Perceived], passing: Iterable[float] = ()) -> list[Summary]:
    """Summaries in windows of ten seconds; `passing`: times at which there was no frame."""
    config = parse({"privacy": {"policy": "demo"}}, "a test")
    releaser = Releaser(config, resolve(config, live=False), model="0" * 16)
    batches = []
    waiting = sorted(passing)
    for frame in frames:
        while waiting and waiting[0] < frame.time:
            batches += releaser.pass_time(waiting.pop(0))
        batches += releaser.observe(frame)
    return [each.summary for each in (*batches, *releaser.finish())]


def in_view(start: float, seconds: float, step: float = 1 / FPS, track: int = 1) -> list[Perceived]:
    """One face that stands still."""
    count = round(seconds / step)
    return [Perceived(start + step * n, (face(track),), size=(640, 480)) for n in range(count)]


def visits(summaries: list[Summary]) -> int:
    return sum(each.visits or 0 for each in summaries)


@pytest.mark.parametrize("gap", [60.0, 120.0, 600.0, 3 * 3600.0])
@pytest.mark.parametrize("same_track", [True, False])
def test_two_stretches_minutes_apart_are_two_visits(gap: float, same_track: bool) -> None:
    frames = in_view(0.0, 2.0) + in_view(gap, 2.0, track=1 if same_track else 2)
    summaries = released(frames)
    assert visits(summaries) == 2
    assert len(summaries) == 2, "windows that were skipped over have no summary"
    for each in summaries:
        assert each.dwell is not None
        assert each.dwell.model_dump()[next(iter(each.dwell.model_dump()))] == 1, "under 5 s"
        assert each.quality.fps == FPS
        assert "fps_too_low_for_micro" not in each.quality.flags


def test_a_camera_that_was_away_for_minutes_ends_what_it_saw() -> None:
    frames = in_view(0.0, 5.0) + in_view(300.0, 5.0)
    away = [float(t) for t in range(6, 300, 5)]
    assert visits(released(frames, away)) == 2
    assert len(released(frames, away)) == 2


def test_time_lapse_of_a_second_is_one_visit_and_says_its_rate() -> None:
    summaries = released(in_view(0.0, 60.0, 1.0))
    assert visits(summaries) == 1
    assert all(each.quality.fps == 1 for each in summaries)
    assert all("fps_too_low_for_micro" in each.quality.flags for each in summaries)


@pytest.mark.parametrize("step", [20.0, 120.0, 600.0, 3 * 3600.0])
def test_pictures_minutes_apart_are_nobodys_stay(step: float) -> None:
    summaries = released(in_view(0.0, 12 * step, step))
    assert visits(summaries) == 0
    assert len(summaries) <= 12
    assert all(each.quality.fps == 0 for each in summaries)


@pytest.mark.parametrize("dark", [0.2, 0.8])
def test_a_window_that_was_mostly_dark_says_so(dark: float) -> None:
    frames = [Perceived(n / 10, (), size=(640, 480), dark=n < 100 * dark) for n in range(100)]
    (summary,) = released(frames)
    assert ("low_light" in summary.quality.flags) == (dark > 0.5)
