"""Faces that pass one another: which one is behind, and where it comes out again."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from agent.base.config import DetectionConfig, TrackingConfig
from agent.base.types import Detections, Float, Frame, Grey
from agent.vision.faces.align import LANDMARK_CROP, MEAN_SHAPE, apply, five_points, invert
from agent.vision.faces.landmarks import (
    LandmarkEstimate,
    crop_matrix,
    face_box,
    interocular,
)
from agent.vision.faces.motion import Motion
from agent.vision.faces.track import FaceTracker
from agent.vision.faces.track_state import Track

SIZE = 60.0
"""Inter-ocular distance of the faces, pixels."""
FPS = 30.0


def points_at(x: float, y: float = 200.0, size: float = SIZE) -> Float:
    return (MEAN_SHAPE * size + np.array([x, y])).astype(np.float32)


class Stage:
    """Faces that move on lines, and networks that see them: a face whose middle is behind another
    is not detected, and its landmarks slip onto the one in front with little presence."""

    def __init__(self, *speeds: float, start: float = 400.0, y: tuple[float, ...] = ()) -> None:
        self.speeds, self.start = speeds, start
        self.heights = y or (200.0,) * len(speeds)
        self.time = 0.0
        rough = np.random.default_rng(1).integers(0, 255, (14, 14)).astype(np.uint8)
        self.skin = cv2.resize(rough, (112, 112), interpolation=cv2.INTER_CUBIC)
        """What every crop shows: it moves with the landmarks."""

    def places(self) -> list[Float]:
        """Landmarks, those in front last."""
        return [
            points_at(500 - np.sign(speed) * self.start + speed * self.time, y)
            for speed, y in zip(self.speeds, self.heights, strict=True)
        ]

    def hidden(self, index: int) -> float:
        """Share of a face's width behind those in front of it."""
        places = self.places()
        mine = places[index][30]
        return max(
            (
                1.0 - min(float(np.hypot(*(other[30] - mine))) / (1.6 * SIZE), 1.0)
                for other in places[index + 1 :]
            ),
            default=0.0,
        )

    def detect(self, frame: Frame) -> Detections:
        seen = [p for i, p in enumerate(self.places()) if self.hidden(i) < 0.4]
        boxes = np.array([face_box(points) for points in seen], np.float32).reshape(-1, 4)
        fives = np.array([five_points(points) for points in seen], np.float32)
        return Detections(boxes, np.full(len(seen), 0.9, np.float32), fives.reshape(-1, 5, 2))

    def place(self, luma: Grey, guess: Float) -> tuple[Grey, Float]:
        matrix = crop_matrix(guess)
        return np.asarray(self.skin, np.uint8), matrix

    def read(self, crop: Grey, matrix: Float) -> LandmarkEstimate:
        places = self.places()
        eyes = apply(invert(matrix), LANDMARK_CROP.place(np.zeros((1, 2), np.float32)))[0]
        near = [float(np.hypot(*((p[36] + p[45]) / 2 - eyes))) for p in places]
        index = max(i for i, far in enumerate(near) if far <= min(near) + SIZE / 4)
        covered = self.hidden(index)
        if near[index] > 1.5 * SIZE:
            return LandmarkEstimate(points_at(*eyes.tolist()), 0.01, crop, matrix)
        if covered < 0.4:
            return LandmarkEstimate(places[index], 0.999, crop, matrix)
        # half a face: what the network gives lies on the edge of the one in front
        return LandmarkEstimate(places[-1] + np.float32(30), 0.6, crop, matrix)

    def refine(self, luma: Grey, guess: Float, promising: float = 0.0) -> LandmarkEstimate:
        return self.read(*self.place(luma, guess))


def play(stage: Stage, seconds: float) -> list[list[tuple[int, Float, float]]]:
    """For each frame, of each reported face: its id, its landmarks, its continuity."""
    tracker = FaceTracker(stage.detect, stage, DetectionConfig(), TrackingConfig(), 0.5)
    luma = np.zeros((480, 1000), np.uint8)
    seen = []
    for index in range(round(seconds * FPS)):
        stage.time = index / FPS
        tracks = tracker.update(Frame(stage.time, luma))
        seen.append([(t.track_id, t.points.copy(), t.continuity) for t in tracks])
    return seen


@pytest.mark.parametrize("speed", [100.0, 200.0, 400.0])
def test_two_who_cross_keep_their_numbers_and_nothing_is_followed_in_between(speed: float) -> None:
    stage = Stage(speed, -speed)
    seen = play(stage, 2 * stage.start / speed)
    ends = [{track: float(points[30, 0]) for track, points, _ in frame} for frame in seen]
    assert ends[5][1] < 500 < ends[5][2]
    assert ends[-1][2] < 500 < ends[-1][1], "each went on its way"
    assert set().union(*ends) == {1, 2}
    for frame in seen:
        for _, points, _ in frame:
            assert interocular(points) == pytest.approx(SIZE, rel=0.05), "never half a face"


def test_while_one_passes_the_other_differences_are_no_movement() -> None:
    stage = Stage(200.0, -200.0)
    seen = play(stage, 2 * stage.start / 200.0)
    for index, frame in enumerate(seen):
        stage.time = index / FPS
        first, second = stage.places()
        apart = abs(float(first[30, 0] - second[30, 0])) / SIZE
        for _, _, continuity in frame:
            if apart < 2.0 and len(frame) == 2 and first[30, 0] < second[30, 0]:
                assert continuity == 0.0
    assert any(continuity > 0.8 for _, _, continuity in seen[30]), "far apart all is well"


def test_people_side_by_side_are_followed_as_ever() -> None:
    stage = Stage(0.0, 0.0)
    stage.places = lambda: [points_at(400), points_at(400 + 1.7 * SIZE)]  # type: ignore[method-assign]
    seen = play(stage, 2.0)
    assert all(len(frame) == 2 for frame in seen)
    assert all(continuity > 0.8 for frame in seen[10:] for _, _, continuity in frame)


def test_motion_leads_on_at_the_last_speed_and_knows_sizes() -> None:
    motion = Motion(0.0, face_box(points_at(100)))
    for index in range(1, 61):
        motion.follow(index / FPS, face_box(points_at(100 + 3 * index)))
    x, _ = motion.ahead(3.0)
    assert x == pytest.approx(100 + 90 * 3.0, abs=5)
    assert motion.distance(3.0, face_box(points_at(370))) < 0.1
    assert motion.distance(3.0, face_box(points_at(280))) < 0.1, "or it stood still"
    assert motion.distance(3.0, face_box(points_at(370, size=20.0))) == np.inf
    assert motion.ahead(60.0)[0] < 500, "nobody walks on for ever"


def test_the_fields_of_a_track_follow_its_landmarks() -> None:
    from agent.vision.faces.stabilise import Stabiliser

    unsure = LandmarkEstimate(
        points_at(100), 0.9, np.zeros((112, 112), np.uint8), np.eye(2, 3, dtype=np.float32),
        np.full((1, 68), -2.5, np.float32),
    )  # fmt: skip
    track = Track(1, unsure, Stabiliser(unsure), 0.9, 0.0, 0.0, 0.0)
    assert not track.clear
    assert track.reported
