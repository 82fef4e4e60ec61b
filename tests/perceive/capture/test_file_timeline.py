"""Times of a file's pictures, and files whose times are out of the ordinary."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest

from agent.perceive.capture.file_timeline import MAX_GAP, FileTimeline
from agent.perceive.capture.video_file import VideoFile
from tests.perceive.capture.films import film, quarters


def corrected(stated: Sequence[float | None], period: float = 1 / 30) -> tuple[list[float], int]:
    """Times, and how many were replaced."""
    line = FileTimeline(period)
    results = [line(now, then) for now, then in pairwise([*stated, None])]
    times = [time for time, _ in results]
    assert all(a < b for a, b in pairwise(times))
    return times, sum(not good for _, good in results)


def test_timestamps_that_repeat_or_go_back_are_replaced_and_counted() -> None:
    stated = [0.0, 0.033, 0.067, 0.067, 0.133, 0.02, 0.2, 0.233, 0.05, 0.083, 0.117]
    times, bad = corrected(stated)
    np.testing.assert_allclose(times, np.arange(len(stated)) / 30, atol=0.005)
    assert bad == 3


def test_a_rate_that_is_none_is_not_believed() -> None:
    """A header that says 2,000,000,000 pictures a second."""
    timeline = FileTimeline(1 / 2000)
    given = [timeline(number / 2e9) for number in range(4)]
    assert [time for time, _ in given] == pytest.approx([0.0, 0.0005, 0.001, 0.0015])
    assert [good for _, good in given] == [True, False, False, False]


def test_fast_cameras_are_believed() -> None:
    timeline = FileTimeline(1 / 2000)
    given = [timeline(number / 2000) for number in range(4)]
    assert [time for time, _ in given] == pytest.approx([0.0, 0.0005, 0.001, 0.0015])
    assert all(good for _, good in given)


def test_gaps_stay_and_one_wrong_time_makes_none() -> None:
    times, bad = corrected([0.0, 1.0, 601.0, 602.0, 86_402.0])
    assert (times, bad) == ([0.0, 1.0, 601.0, 602.0, 86_402.0], 0)
    times, bad = corrected([0.0, 1.0, 5000.0, 3.0, 4.0], period=1.0)
    assert (times, bad) == ([0.0, 1.0, 2.0, 3.0, 4.0], 1)
    times, bad = corrected([0.0, 1.0, 1.7e9, 1.7e9 + 1, 1.7e9 + 2], period=1.0)
    assert (times, bad) == ([0.0, 1.0, 2.0, 3.0, 4.0], 1)
    times, bad = corrected([0.0, MAX_GAP + 2.0], period=1.0)
    assert (times, bad) == ([0.0, 1.0], 1)


def test_a_clock_of_33_bits_begins_anew() -> None:
    wrap = 2**33 / 90_000
    times, bad = corrected([wrap - 2.0, wrap - 1.0, 0.0, 1.0, 2.0], period=1.0)
    np.testing.assert_allclose(times, wrap - 2.0 + np.arange(5))
    assert bad == 0


def test_what_states_no_time_is_timed_by_the_rate() -> None:
    assert corrected([None] * 4, period=0.5) == ([0.0, 0.5, 1.0, 1.5], 0)
    assert corrected([0.0, None, 1.0, None, 2.0], period=0.5) == ([0.0, 0.5, 1.0, 1.5, 2.0], 0)
    assert corrected([None, 7.0, 8.0], period=0.5) == ([0.0, 0.5, 1.5], 0)
    times, bad = corrected([float("nan"), 1.0, float("inf"), 2.0], period=0.5)
    assert (times, bad) == ([0.0, 0.5, 1.0, 1.5], 2)


@pytest.mark.parametrize(
    ("name", "rate", "times", "fps"),
    [
        ("lapse.mkv", 1, [0, 1, 2, 3, 4, 5], 1),
        ("lapse.mp4", 1, [0, 120, 240, 360], 1 / 120),
        ("gap.mkv", 25, [0, 1, 2, 3, 4, 15_004, 15_005, 15_006], 25),
        ("gap.ts", 25, [0, 1, 2, 3, 4, 15_004, 15_005, 15_006], 25),
        ("gap.mp4", 25, [*range(20), *range(15_000, 15_009)], 25),
        ("vfr.mp4", 50, [0, 2, 4, 5, 6, 8, 12, 14, 16], 25),
        ("late.mkv", 25, [250, 251, 252, 253], 25),
        ("fast.mp4", 240, list(range(12)), 240),
        ("faster.mp4", 1000, list(range(12)), 1000),
        ("one.mp4", 25, [0], 25),
    ],
)
def test_a_file_keeps_its_times_and_says_its_rate(
    tmp_path: Path, name: str, rate: int, times: list[int], fps: float
) -> None:
    codec = "libx264" if name in ("faster.mp4", "gap.ts", "lapse.mp4") else "mpeg4"
    options = {"preset": "ultrafast"} if codec == "libx264" else {}
    path = film(
        tmp_path / name, codec, [quarters()] * len(times), rate=rate, times=times, options=options
    )
    source = VideoFile(path)
    found = [frame.time for frame in source]
    np.testing.assert_allclose(found, (np.array(times) - times[0]) / rate, atol=0.002)
    assert source.fps_nominal == pytest.approx(fps, rel=0.02)
    assert source.flags == set()


def test_what_an_edit_list_cuts_away_is_not_shown(tmp_path: Path) -> None:
    """A phone trims a clip by an edit list and leaves the pictures before it in the file."""
    pictures = [np.full((64, 64), 40 + 5 * n, np.uint8) for n in range(30)]
    path = film(
        tmp_path / "a.mp4", "mpeg4", pictures, times=list(range(-10, 20)),
        container={"avoid_negative_ts": "disabled"},
    )  # fmt: skip
    source = VideoFile(path)
    frames = list(source)
    assert len(frames) == 20
    np.testing.assert_allclose([f.time for f in frames], np.arange(20) / 25, atol=0.002)
    for n, frame in enumerate(frames):
        assert abs(float(frame.luma.mean()) - (40 + 5 * (n + 10))) <= 3
    assert source.flags == set()


def test_pictures_without_timestamps_between_those_with_one(tmp_path: Path) -> None:
    """A program stream has a timestamp in each of its packets, which hold many small pictures."""
    options = {"preset": "ultrafast", "bf": "0", "g": "10"}
    path = film(tmp_path / "a.vob", "libx264", [quarters()] * 40, form="vob", options=options)
    with av.open(str(path)) as file:
        missing = [each.pts is None for each in file.demux(file.streams.video[0]) if each.size]
    assert missing.count(True) > 20
    source = VideoFile(path)
    np.testing.assert_allclose([f.time for f in source], np.arange(40) / 25, atol=0.002)
    assert source.fps_nominal == pytest.approx(25)
    assert source.flags == set()
