"""The score of a camera's place, from faces of known size and angle."""

from __future__ import annotations

import math

import numpy as np
import pytest

from agent.base.config import AgentConfig
from agent.base.settings_file import parse
from agent.base.types import Face, Landmarks, MicroStatus, Perceived, Pose
from agent.desk.aim.placement import FIT, SPAN, Judge, Part, Placement
from agent.vision.exposure import Exposure, State

GOOD = MicroStatus(True, None, 0.002)


def face(
    size: float = 80.0,
    yaw: float = 0.0,
    pitch: float = 0.0,
    micro: MicroStatus = GOOD,
    track: int = 1,
) -> Face:
    points = np.zeros((68, 2), np.float32)
    points[45, 0] = size
    box = np.array([0, 0, 2 * size, 2 * size], np.float32)
    pose = Pose(yaw, pitch, 0.0)
    return Face(track, box, 1.0, Landmarks(points, 1.0), points, pose, True, None, micro=micro)


def judged(
    *faces: Face,
    fps: float = 30.0,
    seconds: float = 10.0,
    light: State = "good",
    micro: bool = True,
) -> Placement:
    judge = Judge(AgentConfig(), micro=micro)
    exposed = Exposure(light, 0, 200, 220, 0.0)
    for n in range(round(fps * seconds)):
        judge.add(Perceived(n / fps, faces, size=(640, 480)), exposed)
    return judge.placement()


def part(placement: Placement, name: str) -> Part:
    return next(each for each in placement.parts if each.name == name)


def test_a_good_place_is_good_in_every_part_and_asks_for_nothing() -> None:
    found = judged(face())
    assert found.score == 100
    assert found.fit
    assert found.advice == []


@pytest.mark.parametrize(
    ("placement", "name", "word"),
    [
        (judged(face(size=22)), "size", "nearer"),
        (judged(face(), light="dark"), "light", "Add light"),
        (judged(face(), light="over"), "light", "windows"),
        (judged(face(), light="flat"), "light", "lens"),
        (judged(face(pitch=38)), "angle", "lower"),
        (judged(face(pitch=-38)), "angle", "higher"),
        (judged(face(yaw=38)), "angle", "right edge"),
        (judged(face(yaw=-38)), "angle", "left edge"),
        (judged(face(micro=MicroStatus(False, "too_noisy", math.nan))), "micro", "noise"),
        (judged(face(), fps=15), "rate", "source.fps"),
    ],
)
def test_the_weakest_part_decides_and_its_remedy_comes_first(
    placement: Placement, name: str, word: str
) -> None:
    assert placement.score == part(placement, name).score
    assert placement.score is not None
    assert placement.score < FIT
    assert not placement.fit
    assert word in placement.advice[0]


def test_nothing_is_judged_without_a_face() -> None:
    found = judged()
    assert found.score is None
    assert not found.fit
    assert part(found, "rate").score == 100


def test_a_nearer_face_never_scores_less() -> None:
    scores = [part(judged(face(size=size)), "size").score for size in range(4, 120, 4)]
    assert scores == sorted(scores, key=lambda each: -1 if each is None else each)
    assert (scores[0], scores[-1]) == (0, 100)


def test_small_faces_will_do_where_no_micro_expressions_are_looked_for() -> None:
    small = face(size=31)
    assert not judged(small).fit
    assert judged(small, micro=False).score == 100


def test_a_policy_without_expression_is_not_judged_by_micro_expressions() -> None:
    blind = face(micro=MicroStatus(False, "face_too_small", math.nan))
    assert "micro" not in {each.name for each in judged(blind, micro=False).parts}


def test_what_was_seen_long_ago_is_forgotten() -> None:
    judge = Judge(parse({}, "test"), micro=True)
    for n in range(300):
        judge.add(Perceived(n / 30, (face(size=10),)))
    for n in range(300, 300 + round(30 * SPAN) + 2):
        judge.add(Perceived(n / 30, (face(size=90),)))
    assert part(judge.placement(), "size").score == 100


def test_the_second_that_every_face_needs_first_is_not_held_against_the_place() -> None:
    waiting = MicroStatus(False, "no_evidence", math.nan)
    judge = Judge(AgentConfig(), micro=True)
    for n in range(300):
        status = waiting if n < 30 else GOOD
        judge.add(Perceived(n / 30, (face(micro=status),)))
    assert part(judge.placement(), "micro").score == 100
