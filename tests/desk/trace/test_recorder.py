from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from agent.base.errors import StoreError
from agent.base.types import (
    NOT_ANALYSED,
    Expression,
    Face,
    Landmarks,
    MicroExpression,
    MicroStatus,
    Perceived,
    Pose,
)
from agent.desk.trace.recorder import TraceRecorder
from agent.vision.faces.align import MEAN_SHAPE
from tests.privacy.voices import fused, tone, words


def _face(track_id: int, answer: Expression | None, micro: MicroStatus = NOT_ANALYSED) -> Face:
    points = (MEAN_SHAPE * 50 + 100).astype(np.float32)
    return Face(
        track_id=track_id,
        box=np.array([1, 2, 3, 4], np.float32),
        score=0.8,
        landmarks=Landmarks(points, 0.9),
        raw_points=points + 1,
        pose=Pose(1.0, 2.0, 3.0),
        attentive=True,
        expression=answer,
        micro=micro,
    )


ANSWER = Expression(np.full(8, 0.125, np.float32), True, 0.1, -0.2, np.zeros(12, np.float32))


def _recorder() -> TraceRecorder:
    recorder = TraceRecorder()
    recorder.add(Perceived(0.0, ()))
    refused = MicroStatus(False, "face_too_small", np.nan)
    recorder.add(Perceived(0.04, (_face(1, None), _face(2, ANSWER, refused))))
    event = MicroExpression(2, 0.01, 0.1, 0.2, 0.03, "surprise", ("AU01", "AU02"), 0.75, 0.5)
    recorder.add(Perceived(0.08, (_face(2, ANSWER, MicroStatus(True, None, 0.002)),), (event,)))
    return recorder


def test_one_row_per_face_and_frame(tmp_path: Path) -> None:
    _recorder().write(tmp_path / "t.npz")
    with np.load(tmp_path / "t.npz") as trace:
        assert trace["time"].dtype == np.float64
        assert trace["time"].tolist() == [0.04, 0.04, 0.08]
        assert trace["track_id"].tolist() == [1, 2, 2]
        assert trace["frame"].tolist() == [1, 1, 2]
        assert trace["frame_time"].tolist() == [0.0, 0.04, 0.08]
        assert trace["landmarks"].dtype == np.float32
        assert trace["landmarks"].shape == (3, 68, 2)
        np.testing.assert_allclose(trace["landmarks_raw"] - trace["landmarks"], 1, atol=1e-4)
        assert np.isnan(trace["expression"][0]).all()
        assert trace["expression"][1].sum() == pytest.approx(1)
        assert trace["micro"].tolist() == [[2, 0.01, 0.1, 0.2, 0.03, 0.75, 0.5]]
        columns = " ".join(trace["micro_columns"])
        assert columns == "track_id onset apex offset intensity score emitted"
        assert trace["micro_polarity"].tolist() == ["surprise"]
        assert trace["micro_action_units"].tolist() == ["AU01+AU02"]
        assert trace["micro_analysable"].tolist() == [False, False, True]
        np.testing.assert_allclose(trace["micro_noise"], [np.nan, np.nan, 0.002], rtol=1e-6)
        assert trace["micro_refused"].tolist() == ["no_evidence", "face_too_small", ""]


def test_a_video_without_faces_gives_empty_arrays_of_the_right_shape(tmp_path: Path) -> None:
    recorder = TraceRecorder()
    recorder.add(Perceived(0.0, ()))
    recorder.write(tmp_path / "t.npz")
    with np.load(tmp_path / "t.npz") as trace:
        assert trace["landmarks"].shape == (0, 68, 2)
        assert trace["micro"].shape == (0, len(trace["micro_columns"]))
        assert trace["micro_action_units"].shape == (0,)
        assert len(trace["frame_time"]) == 1


def test_a_trace_that_cannot_be_written_leaves_the_old_one_and_no_litter(tmp_path: Path) -> None:
    out = tmp_path / "t.npz"
    _recorder().write(out)
    before = out.read_bytes()
    blocked = tmp_path / "folder.npz"
    blocked.mkdir()
    with pytest.raises(StoreError, match=r"folder\.npz"):
        _recorder().write(blocked)
    with pytest.raises(StoreError, match="nowhere"):
        _recorder().write(tmp_path / "nowhere" / "t.npz")
    assert out.read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["folder.npz", "t.npz"]


def test_what_was_heard_and_read_stands_beside_the_faces(tmp_path: Path) -> None:
    recorder = TraceRecorder()
    recorder.add_tone(tone(3.0, "sad", 2, seconds=2.5, valence=-0.5, arousal=-0.25))
    recorder.add_tone(tone(4.0, "happy"))
    recorder.add_words(words(5.0, "negative", 2))
    recorder.add_fused(fused(5.5, "negative", 2, ("face", "words")))
    recorder.add_activity(0.1, 0.25)
    recorder.write(tmp_path / "t.npz")
    with np.load(tmp_path / "t.npz") as trace:
        assert trace["tone"].tolist()[0] == [3.0, 2.5, -0.25, -0.5]
        assert trace["tone_track"].tolist() == [2, -1]
        assert trace["tone_label"].tolist() == ["sad", "happy"]
        assert trace["tone_names"][trace["tone_probabilities"][0].argmax()] == "sad"
        assert trace["words_probabilities"].shape == (1, 3)
        assert trace["words_time"].tolist() == [5.0]
        together = trace["fused_channels"][0]
        assert trace["channel_names"][together].tolist() == ["face", "words"]
        assert trace["fused_track"].tolist() == [2]
        assert trace["activity"].tolist() == [[0.1, 0.25]]


def test_a_trace_without_sound_has_empty_arrays_of_the_right_shape() -> None:
    trace = _recorder().arrays()
    assert trace["tone"].shape == (0, 4)
    assert trace["tone_probabilities"].shape == (0, 4)
    assert trace["fused_channels"].shape == (0, 3)
    assert trace["activity"].shape == (0, 2)
