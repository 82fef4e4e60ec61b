"""The picture of a track's channels."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from agent.base.errors import StoreError
from agent.base.types import MicroExpression
from agent.desk.spot.draw import Drawing
from agent.desk.spot.validation import Span, TrackFrame, TrackStats
from agent.desk.trace.timeline import POLARITIES
from agent.vision.micro.channels import CHANNEL_NAMES
from tests.desk.spot.tracks import still


def drawn(frames: int, fps: float = 30.0, gap_at: int | None = None) -> Drawing:
    track = still(frames, fps)
    raised = (np.arange(frames) % 300) == 150
    track["landmarks"][raised, 17:27, 1] -= 3.0
    times = track["timestamps"]
    if gap_at is not None:
        times[gap_at:] += 5.0
    drawing = Drawing(TrackStats(frames, float(times[0]), float(times[-1]), 1 / fps, ()))
    for time, points in zip(times.tolist(), track["landmarks"], strict=True):
        drawing.add(TrackFrame(time, points, 0.9), [])
    return drawing


def event(apex: float, polarity: str) -> MicroExpression:
    return MicroExpression(0, apex - 0.2, apex, apex + 0.2, 0.02, polarity, ("AU01", "AU12"))


@pytest.mark.slow
def test_a_flash_of_one_frame_stays_in_the_picture_of_a_long_track() -> None:
    drawing = drawn(3000)
    times, low, high = drawing.lanes()
    assert len(times) <= 1400
    brow = CHANNEL_NAMES.index("mid_brow_left")
    assert high[:, brow].max() == pytest.approx(0.03, abs=0.006)
    assert low[:, brow].min() > -0.015
    assert np.median(high - low) < 0.01


def test_the_line_breaks_at_a_gap_and_nowhere_else() -> None:
    assert np.isfinite(drawn(400).lanes()[1]).all()
    times, low, _ = drawn(400, gap_at=200).lanes()
    (broken,) = np.flatnonzero(np.isnan(low[:, 0]))
    assert times[broken] == pytest.approx(199 / 30, abs=0.05)


@pytest.mark.slow
def test_events_are_shaded_by_polarity_and_flagged_spans_are_grey(tmp_path: Path) -> None:
    drawing = drawn(1800)
    for number, polarity in enumerate(POLARITIES):
        drawing.add(None, [event(10.0 * (number + 1), polarity)])
    drawing.write(tmp_path / "p.png", [Span("lost", 50.0, 55.0, 150)], title="t.npz")
    picture = cv2.imread(str(tmp_path / "p.png"))
    assert picture is not None
    assert picture.shape[1] > 1400
    for colour in POLARITIES.values():
        bgr = np.array([int(colour[i : i + 2], 16) for i in (5, 3, 1)])
        shade = 0.35 * bgr + 0.65 * 255
        assert (np.abs(picture - shade).max(-1) < 6).sum() > 3000, colour
    grey = 0.7 * np.array([0xF2, 0xEF, 0xEC]) + 0.3 * 255
    assert (np.abs(picture - grey).max(-1) < 3).sum() > 10_000
    assert list(tmp_path.iterdir()) == [tmp_path / "p.png"]


def test_a_short_and_an_empty_track_are_drawn_and_a_missing_folder_is_named(tmp_path: Path) -> None:
    drawn(2).write(tmp_path / "short.png", [], title="short")
    lost = Drawing(TrackStats(3, 0.0, 0.1, 1 / 30, ()))
    lost.add(TrackFrame(0.0, None, 0.0), [])
    lost.write(tmp_path / "lost.png", [], title="lost")
    assert cv2.imread(str(tmp_path / "short.png")) is not None
    assert cv2.imread(str(tmp_path / "lost.png")) is not None
    with pytest.raises(StoreError, match="cannot be written"):
        lost.write(tmp_path / "no" / "p.png", [], title="lost")
