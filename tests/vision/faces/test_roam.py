"""Tiles in turn: which, when, and what they add to the whole frame."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from agent.base.types import Float, Frame, Grey
from agent.vision.faces.detect import FaceDetector
from agent.vision.faces.roam import RoamingDetector, grid_for
from tests.vision.faces.test_detect import FindsWhite, blank


@pytest.mark.parametrize(
    ("width", "height", "grid"),
    [
        (320, 240, 0), (400, 300, 0), (640, 480, 2), (1280, 720, 3), (1920, 1080, 4),
        (7680, 4320, 4), (0, 9, 0),
    ],
)  # fmt: skip
def test_the_grid_follows_the_size(width: int, height: int, grid: int) -> None:
    assert grid_for((height, width)) == grid


def _calls(width: int, height: int, tiles: int | None, looks: int) -> list[int]:
    white = FindsWhite()
    detector = RoamingDetector(FaceDetector(white), tiles)
    counts = []
    for i in range(looks):
        before = white.calls
        detector(Frame(i / 10, np.zeros((height, width), np.uint8)))
        counts.append(white.calls - before)
    return counts


def test_small_frames_cost_one_call_and_a_tile_every_other_look() -> None:
    assert _calls(320, 240, None, 4) == [1, 1, 1, 1]
    assert _calls(640, 480, None, 6) == [1, 2, 1, 2, 1, 2]
    assert _calls(640, 480, 0, 4) == [1, 1, 1, 1]


def test_with_somebody_in_view_tiles_come_half_as_often() -> None:
    white = FindsWhite()
    detector = RoamingDetector(FaceDetector(white))
    for i in range(16):
        detector(Frame(i / 2, np.zeros((480, 640), np.uint8)))
    assert white.calls == 16 + 4


def test_the_tile_that_shows_a_place_best_comes_next() -> None:
    seen = []

    def network(picture: Grey) -> Mapping[str, Float]:
        seen.append(int(picture.max()))
        return blank()

    luma = np.zeros((480, 640), np.uint8)
    luma[400:420, 600:620] = 200  # in the bottom right tile only
    detector = RoamingDetector(FaceDetector(network))
    detector(Frame(-1.0, luma))
    seen.clear()
    for i in range(3):
        detector.aim([np.array([600, 400, 620, 420], np.float32)])
        detector(Frame(i / 4, luma))
    assert len(seen) == 6
    assert min(seen) == 200, "whole frame and that tile each time"
    RoamingDetector(FaceDetector(network), 0).aim([np.zeros(4, np.float32)])


def test_many_tiles_have_had_their_turn_after_three_looks() -> None:
    assert sum(_calls(1280, 720, None, 3)) == 3 + 9
    assert max(_calls(1280, 720, None, 9)) == 1 + 3
    assert sum(_calls(1920, 1080, None, 3)) == pytest.approx(3 + 16, abs=1)


def test_a_small_face_is_found_within_one_round_wherever_it_is() -> None:
    white = FindsWhite()

    def sees_only_large(picture: Grey) -> Mapping[str, Float]:
        maps = white(picture)
        return maps if (picture > 128).sum() > 150 else blank()

    for x, y in ((10, 10), (600, 430), (300, 220), (20, 440)):
        luma = np.zeros((480, 640), np.uint8)
        luma[y : y + 26, x : x + 20] = 255  # 10 x 13 in the whole frame, 18 x 23 in a tile
        detector = RoamingDetector(FaceDetector(sees_only_large))
        found = [detector(Frame(i / 10, luma)).boxes for i in range(8)]
        seen = [boxes[0] for boxes in found if len(boxes)]
        assert 1 <= len(seen) <= 4
        np.testing.assert_allclose(seen[0], [x - 0.5, y - 0.5, x + 19.5, y + 25.5], atol=2.0)


def test_a_change_of_size_plans_anew() -> None:
    white = FindsWhite()
    detector = RoamingDetector(FaceDetector(white))
    for shape in ((480, 640), (240, 320), (480, 640)):
        luma = np.zeros(shape, np.uint8)
        luma[100:160, 100:150] = 255
        for i in range(4):
            found = detector(Frame(i / 2, luma))
            np.testing.assert_allclose(found.boxes, [[99.5, 99.5, 149.5, 159.5]], atol=2.5)
