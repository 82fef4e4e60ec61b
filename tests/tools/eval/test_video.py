"""Films with known faces, and what following them is worth."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from agent.base.assets import CLIP
from agent.base.config import AgentConfig
from agent.base.types import Float, Grey
from agent.desk.inspect import Inspector
from agent.perceive.capture.video_file import VideoFile
from tools.eval.data import Scenes
from tools.eval.detector import clips, video

BACK = cv2.GaussianBlur(
    np.random.default_rng(0).integers(0, 255, (120, 160)).astype(np.uint8), (0, 0), 6
)


def _scenes(picture: Grey, box: Float) -> Scenes:
    return Scenes([picture], ["one"], [box[None]], [np.zeros(1, bool)], [np.zeros(1, np.uint8)], [])


def _square() -> Scenes:
    picture = np.zeros((100, 120), np.uint8)
    picture[30:70, 40:90] = 255
    return _scenes(picture, np.array([40, 30, 90, 70], np.float32) - 0.5)


@pytest.mark.parametrize("shape", clips.SIZES)
def test_the_truth_lies_on_what_was_drawn(shape: tuple[int, int]) -> None:
    (film,) = clips.with_faces(_square(), [np.asarray(BACK, np.uint8)], shape, 24.0, 3, 0.5)
    for luma, truth in film.frames():
        assert luma.shape == shape
        assert truth.wanted.all()
        x0, y0, x1, y1 = truth.boxes[0] + 0.5
        assert y1 - y0 >= 24.0
        inside = luma[round(y0) + 2 : round(y1) - 2, round(x0) + 2 : round(x1) - 2]
        assert inside.mean() > 240
        assert luma[round(y0) - 4, round((x0 + x1) / 2)] < 60, "the scene's black border"


def test_films_move_and_repeat_exactly() -> None:
    (film,) = clips.with_faces(
        _square(), [np.asarray(BACK, np.uint8)], clips.SIZES[0], 32.0, 1, 1.0
    )
    first, again = (list(film.frames()) for _ in range(2))
    assert len(first) == 30
    assert all((a[0] == b[0]).all() for a, b in zip(first, again, strict=True))
    moved = first[-1][1].boxes - first[0][1].boxes
    assert np.abs(moved).max() > 1.0
    assert not clips.with_faces(_square(), [BACK], clips.SIZES[0], 36.0, 1, 1.0), "too small"


@pytest.mark.slow
def test_a_clear_face_is_tracked_and_nothing_else() -> None:
    portrait = next(frame.luma for frame in VideoFile(CLIP) if frame.time > 6.5)
    box = np.array(Inspector(AgentConfig()).picture(portrait)[0]["box"], np.float32)
    films = clips.with_faces(
        _scenes(portrait, box), [np.asarray(BACK, np.uint8)], clips.SIZES[0], 48.0, 1, 1.5
    )
    row = video.summary(films, [video.follow(AgentConfig(), film.frames()) for film in films])
    assert row["faces"] == row["bare"]["faces"] == 1
    assert row["tracked"] > 0.8
    assert row["tracked_settled"] == 1.0
    assert row["false_tracks_per_minute"] == 0.0
    blank = clips.without_faces([np.asarray(BACK, np.uint8)], clips.SIZES[0], 1, 1.0)
    row = video.summary(blank, [video.follow(AgentConfig(), film.frames()) for film in blank])
    assert row["faces"] == 0
    assert row["tracked"] is None
    assert row["false_tracks_per_minute"] == 0.0
