"""The timeline plot."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from agent.base.errors import StoreError
from agent.base.types import EXPRESSIONS
from agent.desk.trace import heard, timeline
from agent.desk.trace import truth as script
from agent.desk.trace.recorder import TraceRecorder
from tests.desk.trace.generated import perceived
from tests.privacy.voices import fused, tone, words


@pytest.fixture(scope="module")
def recording() -> TraceRecorder:
    recorder = TraceRecorder()
    for each in perceived(script.load(), fps=10.0):
        recorder.add(each)
    return recorder


def test_lanes_follow_the_visitors(recording: TraceRecorder) -> None:
    truth = script.load()
    lanes = timeline.lanes(recording, truth)
    assert [lane.name for lane in lanes] == [name for name, _, _ in truth.visitors]
    for lane in lanes:
        assert lane.expression.shape == (len(lane.time), len(EXPRESSIONS))
        planted = [e for e in truth.events if e.visitor == lane.name and e.kind == "micro"]
        assert len(lane.micro) == len(planted)
        smile = next((e for e in truth.events if (e.visitor, e.kind) == (lane.name, "smile")), None)
        if smile:
            at = int(np.argmin(np.abs(lane.time - (smile.onset + smile.offset) / 2)))
            assert EXPRESSIONS[int(lane.expression[at].argmax())] == "happiness"


def test_a_flawless_recording_scores_in_full(recording: TraceRecorder) -> None:
    truth = script.load()
    lanes = timeline.lanes(recording, truth)
    score = script.score(
        truth, [s for lane in lanes for s in lane.micro], {x.track_id: x.name for x in lanes}
    )
    assert score.found == score.named == score.planted
    assert score.other == 0


@pytest.mark.slow
def test_the_picture_shows_the_expressions_colours(
    recording: TraceRecorder, tmp_path: Path
) -> None:
    out = tmp_path / "timeline.png"
    timeline.draw_trace(recording, out, title="a title", truth=script.load())
    picture = cv2.imread(str(out))
    assert picture is not None
    assert picture.shape[1] > 1000
    for name in ("neutral", "happiness", "surprise", "anger"):
        colour = timeline.COLOURS[name]
        bgr = np.array([int(colour[i : i + 2], 16) for i in (5, 3, 1)])
        # more than a legend's patch of it
        assert (np.abs(picture.astype(int) - bgr).max(-1) < 4).sum() > 2000, name
    assert list(tmp_path.iterdir()) == [out]


def test_a_recording_without_faces_or_truth_is_drawn(tmp_path: Path) -> None:
    out = tmp_path / "empty.png"
    timeline.draw_trace(TraceRecorder(), out, title="nobody")
    assert cv2.imread(str(out)) is not None


def test_many_tracks_are_drawn_as_the_longest_few(tmp_path: Path) -> None:
    recorder = TraceRecorder()
    for each in perceived(script.load(), fps=5.0):
        for shift in (0, 10, 20):
            recorder.add(
                type(each)(
                    each.time,
                    tuple(
                        type(f)(
                            f.track_id + shift, f.box, f.score, f.landmarks, f.raw_points,
                            f.pose, f.attentive, f.expression,
                        )
                        for f in each.faces
                    ),
                )
            )  # fmt: skip
    out = tmp_path / "many.png"
    timeline.draw_trace(recorder, out, title="many")
    assert len(timeline.lanes(recorder)) == 12
    picture = cv2.imread(str(out))
    assert picture is not None
    assert picture.shape[0] < 1400


def test_a_folder_that_is_not_there_is_a_named_error(
    recording: TraceRecorder, tmp_path: Path
) -> None:
    with pytest.raises(StoreError, match="cannot be written"):
        timeline.draw_trace(recording, tmp_path / "absent" / "out.png", title="x")


def _area(picture: np.ndarray, colour: str) -> int:
    """Pixels of a colour."""
    bgr = np.array([int(colour[i : i + 2], 16) for i in (5, 3, 1)])
    return int((np.abs(picture.astype(int) - bgr).max(-1) < 4).sum())


def _drawn(recorder: TraceRecorder, out: Path, truth: script.Truth | None = None) -> np.ndarray:
    timeline.draw_trace(recorder, out, title="a title", truth=truth)
    picture = cv2.imread(str(out))
    assert picture is not None
    return picture


@pytest.mark.slow
def test_voice_and_words_are_drawn_where_there_are_any(tmp_path: Path) -> None:
    truth = script.load()
    silent = _drawn(TraceRecorder(), tmp_path / "silent.png", truth)
    recorder = TraceRecorder()
    for step in range(480):
        speaks = any(each.start < step / 10 < each.end for each in truth.speech)
        recorder.add_activity(step / 10, 0.9 if speaks else 0.02)
    for each in truth.speech:
        recorder.add_tone(tone(each.end, each.tone, 1 if each.belongs == "visit" else None))
    voiced = _drawn(recorder, tmp_path / "voiced.png", truth)
    assert voiced.shape[0] > silent.shape[0]
    for name in ("happy", "angry", "sad"):
        colour = heard.TONE_COLOURS[name]
        assert _area(voiced, colour) > _area(silent, colour) + 500, name
    recorder.add_words(words(9.0, "positive", 1))
    for second in range(2, 12):
        recorder.add_fused(fused(second, "positive", 1))
    whole = _drawn(recorder, tmp_path / "whole.png", truth)
    assert whole.shape[0] > voiced.shape[0]
    assert _area(whole, heard.SENTIMENT_COLOURS["positive"]) > 1000
    # without the truth, and with its sound only
    assert _drawn(recorder, tmp_path / "file.png").shape == whole.shape


def test_a_reading_is_drawn_back_to_the_one_before_it() -> None:
    readings = [tone(4.0, seconds=3.0), tone(5.0, seconds=3.0), tone(20.0, seconds=1.5)]
    assert [each[:2] for each in heard.spans(readings)] == [(1.0, 4.0), (4.0, 5.0), (18.5, 20.0)]
