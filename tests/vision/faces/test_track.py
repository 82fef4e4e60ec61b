from __future__ import annotations

import cv2
import numpy as np
import pytest

from agent.base.config import DetectionConfig, TrackingConfig
from agent.base.types import Detections, Float, Frame, Grey
from agent.vision.faces.align import LANDMARK_CROP, MEAN_FIVE, MEAN_SHAPE, cut, five_points
from agent.vision.faces.follow import RESTING
from agent.vision.faces.landmarks import LandmarkEstimate, crop_matrix, face_box
from agent.vision.faces.probability import FilmJudge
from agent.vision.faces.track import FaceTracker
from agent.vision.faces.track_state import Track


class World:
    """Faces at known points; a detector and a landmark estimator that look them up."""

    def __init__(self) -> None:
        self.faces: dict[str, Float] = {}
        self.detections = 0
        self.undetectable: set[str] = set()
        self.answers = 0
        """Of the landmark network, for tracks."""
        self._guess: Float = np.zeros((68, 2), np.float32)

    def put(self, name: str, x: float, y: float, iod: float = 40.0) -> None:
        self.faces[name] = (MEAN_SHAPE * iod + [x, y]).astype(np.float32)

    def detect(self, frame: Frame) -> Detections:
        self.detections += 1
        seen = [p for name, p in self.faces.items() if name not in self.undetectable]
        return Detections(
            np.array([face_box(p) for p in seen], np.float32).reshape(-1, 4),
            np.full(len(seen), 0.9, np.float32),
            np.array([five_points(p) for p in seen], np.float32).reshape(-1, 5, 2),
        )

    def __call__(self, luma: Grey, guess: Float) -> LandmarkEstimate:
        points, presence = self.find(guess)
        matrix = crop_matrix(guess)
        return LandmarkEstimate(points, presence, cut(luma, matrix, LANDMARK_CROP.size), matrix)

    def place(self, luma: Grey, guess: Float) -> tuple[Grey, Float]:
        self._guess = guess
        matrix = crop_matrix(guess)
        return cut(luma, matrix, LANDMARK_CROP.size), matrix

    def read(self, crop: Grey, matrix: Float) -> LandmarkEstimate:
        self.answers += 1
        points, presence = self.find(self._guess)
        return LandmarkEstimate(points, presence, crop, matrix)

    def refine(self, luma: Grey, guess: Float, promising: float = 0.0) -> LandmarkEstimate:
        return self(luma, guess)

    def find(self, guess: Float) -> tuple[Float, float]:
        middle = guess.mean(0)
        best, distance = guess, np.inf
        for points in self.faces.values():
            reference = points if len(guess) == 68 else five_points(points)
            apart = float(np.hypot(*(reference.mean(0) - middle)))
            if apart < distance:
                best, distance = points, apart
        if distance > 30:
            return (guess if len(guess) == 68 else np.zeros((68, 2), np.float32)), 0.01
        return best.copy(), 0.99


LUMA = np.random.default_rng(0).integers(0, 255, (480, 640)).astype(np.uint8)


def _tracker(world: World, budget: float | None = None, **tracking: float) -> FaceTracker:
    return FaceTracker(
        world.detect,
        world,
        DetectionConfig(),
        TrackingConfig(**tracking),  # type: ignore[arg-type]
        0.5,
        budget,
    )


def _ids(tracks: list[Track]) -> list[int]:
    return [track.track_id for track in tracks]


def test_one_person_keeps_one_id_while_moving() -> None:
    world = World()
    tracker = _tracker(world)
    for i in range(90):
        world.put("a", 200 + 2 * i, 200)
        tracks = tracker.update(Frame(i / 30, LUMA))
        assert _ids(tracks) == [1]
        np.testing.assert_allclose(tracks[0].estimate.points, world.faces["a"])


def test_the_detector_rests_between_looks() -> None:
    world = World()
    world.put("a", 300, 200)
    tracker = _tracker(world)
    for i in range(60):
        tracker.update(Frame(i / 30, LUMA))
    assert world.detections <= 5, "two seconds at one look per half second"


def test_a_newcomer_gets_an_id_of_his_own() -> None:
    world = World()
    world.put("a", 150, 200)
    tracker = _tracker(world)
    tracker.update(Frame(0.0, LUMA))
    world.put("b", 450, 200)
    for i in range(1, 30):
        tracks = tracker.update(Frame(i / 30, LUMA))
    assert _ids(tracks) == [1, 2]


def test_a_face_hidden_for_a_moment_is_resumed() -> None:
    world = World()
    tracker = _tracker(world)
    seen = []
    for i in range(120):
        world.faces.clear()
        if not 40 <= i < 70:
            world.put("a", 300, 200)
        seen.append(_ids(tracker.update(Frame(i / 30, LUMA))))
    assert seen[39] == [1]
    assert seen[60] == []
    assert seen[-1] == [1]


def test_a_face_lost_for_long_gets_a_new_id() -> None:
    world = World()
    tracker = _tracker(world, lost_after=1.0)
    for i in range(150):
        world.faces.clear()
        if not 30 <= i < 90:
            world.put("a", 300, 200)
        tracks = tracker.update(Frame(i / 30, LUMA))
    assert _ids(tracks) == [2]


def test_two_tracks_on_one_face_become_one() -> None:
    world = World()
    world.put("a", 200, 200)
    world.put("b", 420, 200)
    tracker = _tracker(world)
    tracker.update(Frame(0.0, LUMA))
    for i in range(1, 40):
        world.put("b", max(200, 420 - 20 * i), 200)
        if i == 11:
            del world.faces["b"]
        if i > 11:
            world.faces.pop("b", None)
        tracks = tracker.update(Frame(i / 30, LUMA))
    assert _ids(tracks) == [1]


def test_forty_faces_are_held_and_no_more_than_allowed() -> None:
    world = World()
    for i in range(48):
        world.put(str(i), 45 + 78 * (i % 8), 30 + 78 * (i // 8), 12.0)
    tracker = _tracker(world)
    for i in range(20):
        tracks = tracker.update(Frame(i / 30, LUMA))
    assert len(tracks) == 40
    assert len(set(_ids(tracks))) == 40


def test_a_limit_keeps_the_largest_faces_until_it_is_lifted() -> None:
    world = World()
    for name, x, size in (("a", 80, 20.0), ("b", 250, 40.0), ("c", 450, 25.0)):
        world.put(name, x, 200, size)
    tracker = _tracker(world, max_faces=2)
    seen = []
    for i in range(90):
        if i == 30:
            tracker.limit(1)
        if i == 60:
            tracker.limit(None)
        seen.append(_ids(tracker.update(Frame(i / 30, LUMA))))
    assert seen[29] == [1, 2]
    assert seen[30] == seen[59] == [2]
    assert seen[89][0] == 2
    assert len(seen[89]) == 2, "no more than configured"
    assert seen[89][1] not in seen[29], "who comes back is somebody new"


def test_a_lost_face_does_not_come_back_beyond_the_limit() -> None:
    world = World()
    world.put("a", 150, 200)
    tracker = _tracker(world)
    tracker.limit(1)
    for i in range(60):
        if i == 10:
            world.put("b", 450, 200, 30.0)
        if i == 20:
            hidden = world.faces.pop("a")
        if i == 40:
            world.faces["a"] = hidden
        tracks = tracker.update(Frame(i / 30, LUMA))
        assert len(tracks) <= 1
    assert tracks


def test_a_small_budget_rotates_and_counts_skipped_tracks() -> None:
    world = World()
    for i in range(6):
        world.put(str(i), 60 + 100 * i, 200, 20.0)
    tracker = _tracker(world, budget=0.0)
    turns: list[int] = []
    for i in range(30):
        tracks = tracker.update(Frame(i / 30, LUMA))
        if i > 1:
            assert tracker.skipped == sum(not track.updated for track in tracks) == 5
            turns += [track.track_id for track in tracks if track.updated]
    assert len(tracks) == 6
    assert turns[:6] == turns[6:12], "every face has its turn"
    assert sorted(turns[:6]) == [1, 2, 3, 4, 5, 6]


def test_a_change_of_picture_size_starts_anew() -> None:
    world = World()
    world.put("a", 100, 100)
    tracker = _tracker(world)
    tracker.update(Frame(0.0, LUMA))
    tracks = tracker.update(Frame(0.04, LUMA[:240, :320]))
    assert _ids(tracks) == [2]


@pytest.mark.parametrize("presence", [0.0, 0.4])
def test_a_detection_that_is_no_face_starts_nothing(presence: float) -> None:
    class Unsure(World):
        def find(self, guess: Float) -> tuple[Float, float]:
            return (MEAN_SHAPE * 30 + 35).astype(np.float32), presence

    unsure = Unsure()
    tracker = FaceTracker(
        lambda frame: Detections(
            np.array([[10, 10, 60, 60]], np.float32),
            np.array([0.9], np.float32),
            (MEAN_FIVE * 30 + 35)[None].astype(np.float32),
        ),
        unsure,
        DetectionConfig(),
        TrackingConfig(),
        0.5,
    )
    assert tracker.update(Frame(0.0, LUMA)) == []


def test_landmarks_are_steady_until_something_breaks_them_off() -> None:
    """0 in the first frame, after a jump, after a gap and when resumed; near 1 in between."""
    world = World()
    tracker = _tracker(world)
    continuity: list[float] = []
    times = [i / 30 for i in range(60)] + [2.5 + i / 30 for i in range(40)]
    for i, time in enumerate(times):
        world.faces.clear()
        if i < 80 or i >= 85:
            world.put("a", 200 + (15 if i >= 30 else 0), 200)
        tracks = tracker.update(Frame(time, LUMA))
        continuity.append(tracks[0].continuity if tracks else -1.0)
    assert [continuity[i] for i in (0, 30, 60)] == [0.0, 0.0, 0.0]
    assert min(continuity[1:30] + continuity[31:60] + continuity[61:80]) > 0.8
    resumed = next(i for i in range(80, 100) if continuity[i] >= 0 and continuity[i - 1] < 0)
    assert continuity[resumed] == 0.0
    assert min(continuity[resumed + 1 :]) > 0.8


class Flickering(World):
    """The detector finds `ghost` in every third look only, and its presence is that of a print."""

    def detect(self, frame: Frame) -> Detections:
        self.undetectable = set() if self.detections % 3 == 0 else {"ghost"}
        return super().detect(frame)

    def find(self, guess: Float) -> tuple[Float, float]:
        points, presence = super().find(guess)
        ghost = "ghost" in self.faces and np.array_equal(points, self.faces["ghost"])
        return points, min(presence, 0.9) if ghost else presence


def _reported(world: World, frames: int) -> list[list[int]]:
    tracker = _tracker(world)
    return [_ids(tracker.update(Frame(i / 30, LUMA))) for i in range(frames)]


@pytest.mark.parametrize("down", [30, 100, 160])
def test_what_a_detector_finds_now_and_then_on_a_person_is_not_reported(down: float) -> None:
    """A print on a shirt, a hand, the chin: on or below a face that is tracked."""
    world = Flickering()
    world.put("face", 300, 150)
    world.put("ghost", 305, 150 + down)
    seen = _reported(world, 300)
    assert {tuple(ids) for ids in seen} == {(1,)}


def test_it_is_reported_where_nobody_is() -> None:
    world = Flickering()
    world.put("face", 150, 150)
    world.put("ghost", 500, 250)
    assert _reported(world, 90)[-1] == [1, 2]


def test_a_child_before_a_grown_up_is_reported_once_it_is_borne_out() -> None:
    world = World()
    world.put("face", 300, 150)
    world.put("child", 310, 270)
    seen = _reported(world, 90)
    assert seen[0] == [1]
    assert seen[-1] == [1, 2]


class Sticky(World):
    """Landmarks stay where a face was, as on a wall that looks a little like one."""

    def find(self, guess: Float) -> tuple[Float, float]:
        points, presence = super().find(guess)
        return (points, presence) if presence > 0.5 or len(guess) == 5 else (guess.copy(), 0.6)


def test_after_a_cut_a_face_is_looked_for_at_once_and_its_old_place_is_left() -> None:
    world = Sticky()
    tracker = _tracker(world)
    other = np.random.default_rng(1).integers(0, 255, (480, 640)).astype(np.uint8)
    for i in range(40):
        world.put("a", 150 if i < 20 else 450, 200)
        tracks = tracker.update(Frame(i / 30, LUMA if i < 20 else other))
        assert len(tracks) == 1, i
        assert abs(float(tracks[0].points[30, 0]) - (150 if i < 20 else 450)) < 40
    assert _ids(tracks) == [2]


def test_a_face_that_passes_behind_another_is_resumed() -> None:
    world = World()
    tracker = _tracker(world)
    seen = []
    for i in range(150):
        x = 120 + 3 * max(i - 10, 0)
        world.put("front", 320, 200, 44.0)
        world.put("behind", min(x, 530), 200)
        if abs(x - 320) < 20:
            del world.faces["behind"]
        seen.append(_ids(tracker.update(Frame(i / 30, LUMA))))
    assert sorted(seen[5]) == sorted(seen[-1]) == [1, 2]


class Weak(World):
    """Every detection has a low score; `seldom` is found in the first look only, `pale` has the
    presence of a print."""

    def detect(self, frame: Frame) -> Detections:
        self.undetectable = {"seldom"} if self.detections else set()
        found = super().detect(frame)
        return Detections(found.boxes, np.full_like(found.scores, 0.3), found.keypoints)

    def find(self, guess: Float) -> tuple[Float, float]:
        points, presence = super().find(guess)
        pale = "pale" in self.faces and np.array_equal(points, self.faces["pale"])
        return points, min(presence, 0.8) if pale else presence


JUDGE = FilmJudge.of(
    {
        "track_weights": (2.0, 0.5, 0.0),
        "track_above": 0.2,
        "track_sure_above": 0.9,
        "film_weights": (1.0, 1.0, -2.0),
        "film_above": 0.6,
    }
)


def _judged(world: World, frames: int) -> tuple[list[list[int]], list[int]]:
    """Reported ids of each frame, and how many tracks are tentative."""
    tracker = FaceTracker(
        world.detect, world, DetectionConfig(), TrackingConfig(), 0.5, judge=JUDGE
    )
    seen, waiting = [], []
    for i in range(frames):
        seen.append(_ids(tracker.update(Frame(i / 30, LUMA))))
        waiting.append(len(tracker.tentative))
    return seen, waiting


def test_a_strong_detection_is_reported_at_once() -> None:
    world = World()
    world.put("a", 300, 200)
    seen, waiting = _judged(world, 5)
    assert seen == [[1]] * 5
    assert waiting == [0] * 5


def test_a_weak_one_is_followed_and_reported_when_the_next_look_bears_it_out() -> None:
    world = Weak()
    world.put("a", 300, 200)
    seen, waiting = _judged(world, 40)
    assert seen[0] == []
    assert waiting[0] == 1
    first = next(i for i, ids in enumerate(seen) if ids)
    assert 4 <= first <= 12, "after a quarter of a second"
    assert {tuple(ids) for ids in seen[first:]} == {(1,)}


@pytest.mark.parametrize("name", ["seldom", "pale"])
def test_what_is_not_borne_out_is_never_reported_and_ends(name: str) -> None:
    world = Weak()
    world.put(name, 300, 200)
    seen, waiting = _judged(world, 60)
    assert not any(seen)
    assert waiting[0] == 1
    assert waiting[45] == 0, "given up, and left alone for a while"


@pytest.mark.parametrize(("presence", "asked"), [(0.01, (2, 2)), (0.2, (4, 6))])
def test_a_place_without_a_face_is_not_asked_about_in_every_look(
    presence: float, asked: tuple[int, int]
) -> None:
    """The landmark network sees nothing there, or too little; ten looks a second would ask fifty
    times."""

    class Nothing(Weak):
        asked = 0

        def refine(self, luma: Grey, guess: Float, promising: float = 0.0) -> LandmarkEstimate:
            self.asked += 1
            return super().refine(luma, guess, promising)

        def find(self, guess: Float) -> tuple[Float, float]:
            return super().find(guess)[0], presence

    world = Nothing()
    world.put("a", 300, 200)
    seen, _ = _judged(world, 150)
    assert not any(seen)
    assert world.detections > 30
    assert asked[0] <= world.asked <= asked[1]


def test_one_that_is_lost_is_searched_for_often_at_first() -> None:
    world = World()
    tracker = _tracker(world)
    looks = []
    for i in range(90):
        world.put("a", 150, 200)
        if i < 30:
            world.put("b", 450, 200)
        else:
            world.faces.pop("b", None)
        tracker.update(Frame(i / 30, LUMA))
        looks.append(world.detections)
    assert looks[44] - looks[29] >= 4, "some ten a second, for half a second"
    assert 2 <= looks[74] - looks[44] <= 5, "four a second"


def _film(frames: int) -> list[Grey]:
    """A smooth picture that moves to the right by half a pixel per frame."""
    noise = np.random.default_rng(1).integers(0, 255, (480, 800)).astype(np.uint8)
    smooth = cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 4), None, 30, 220, cv2.NORM_MINMAX)
    shifts = [np.array([[1, 0, 0.5 * i], [0, 1, 0]], np.float32) for i in range(frames)]
    films = [cv2.warpAffine(smooth, shift, (640, 480)) for shift in shifts]
    return [np.ascontiguousarray(each, np.uint8) for each in films]


@pytest.mark.parametrize(
    ("fps", "least", "most"), [(12, 29, 29), (25, 14, 17), (30, 9, 12), (60, 5, 9)]
)
def test_the_network_rests_while_a_face_is_steady(fps: int, least: int, most: int) -> None:
    world = World()
    tracker = FaceTracker(
        world.detect, world, DetectionConfig(), TrackingConfig(), 0.5, resting=RESTING
    )
    for i, luma in enumerate(_film(30)):
        world.put("a", 300 + 0.5 * i, 200, 90.0)
        (track,) = tracker.update(Frame(i / fps, luma))
        apart = np.hypot(*(track.points - world.faces["a"]).T)
        assert apart.mean() < 0.5, "pixels, although the network did not say where it is"
        assert track.continuity > 0.8 or i == 0
    assert least <= world.answers <= most


def test_the_network_answers_at_once_when_the_picture_changes() -> None:
    world = World()
    tracker = FaceTracker(
        world.detect, world, DetectionConfig(), TrackingConfig(), 0.5, resting=RESTING
    )
    film = _film(40)
    for i in range(20):
        world.put("a", 300 + 0.5 * i, 200, 90.0)
        tracker.update(Frame(i / 30, film[i]))
    for i in (20, 21):
        (track,) = tracker.update(Frame(i / 30, np.ascontiguousarray(film[i][::-1])))
        assert track.read == i / 30


class Part(World):
    """A face that landmarks cannot be fitted to yet, and its eye, which they can."""

    def __init__(self, score: float) -> None:
        super().__init__()
        self.score = score
        self.put("eye", 320, 200, 15.0)

    def detect(self, frame: Frame) -> Detections:
        eye = self.faces["eye"]
        return Detections(
            np.array([[200, 120, 380, 340], face_box(eye)], np.float32),
            np.array([0.95, self.score], np.float32),
            np.array([np.full((5, 2), 10.0), five_points(eye)], np.float32),
        )


@pytest.mark.parametrize(("score", "ids"), [(0.3, []), (0.9, [1])])
def test_a_weak_detection_on_a_strong_one_is_a_part_of_that_face(
    score: float, ids: list[int]
) -> None:
    tracker = _tracker(Part(score))
    for i in range(40):
        assert _ids(tracker.update(Frame(i / 30, LUMA))) == ids
