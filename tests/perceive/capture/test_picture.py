"""Which pictures are none, and which only look like it."""

from __future__ import annotations

import zlib
from collections.abc import Callable

import cv2
import numpy as np
import pytest

from agent.perceive.capture.picture import Judge, blindness
from agent.vision.exposure import exposure

SIZE = (120, 160)
STALL = 5.0
RANDOM = np.random.default_rng(7)
Grey = np.ndarray


def scene() -> Grey:
    """Things with edges, between black and white."""
    rows, columns = np.indices(SIZE)
    return (60 + 60 * ((rows // 20 + columns // 20) % 2)).astype(np.uint8)


def noisy(picture: Grey, sigma: float = 2.0) -> Grey:
    found = picture.astype(float) + RANDOM.normal(0, sigma, picture.shape)
    return np.clip(np.round(found), 0, 255).astype(np.uint8)


def play(
    judge: Judge, make: Callable[[], Grey], seconds: float, start: float = 0.0, green: bool = False
) -> tuple[float, str] | None:
    """At 10 frames a second; the time and name of the first stall."""
    for n in range(int(seconds * 10)):
        luma = make()
        found = judge(start + n / 10, luma, zlib.crc32(luma.tobytes()), green)
        if found:
            return start + n / 10, found
    return None


def test_identical_pictures_are_frozen_after_the_stall() -> None:
    picture = noisy(scene())
    judge = Judge(STALL)
    assert play(judge, lambda: noisy(scene()), 20) is None
    assert judge.changed
    found = play(judge, lambda: picture, 20, start=20)
    assert found is not None
    assert found[1] == "frozen"
    assert 25.0 < found[0] < 25.3
    judge.restart()
    assert not judge.changed
    play(judge, lambda: picture, 1, start=30)
    assert not judge.changed


def test_one_changed_byte_in_time_is_a_picture() -> None:
    picture = noisy(scene())

    def flicker() -> Grey:
        picture[3, 4] ^= 1
        return picture.copy()

    assert play(Judge(STALL), flicker, 20) is None


def test_a_grey_card_of_one_value_is_frozen_too() -> None:
    """A decoder that gave up; a sensor's would have noise."""
    found = play(Judge(STALL), lambda: np.full(SIZE, 128, np.uint8), 20)
    assert found is not None
    assert found[1] == "frozen"


@pytest.mark.parametrize("lamp", [False, True])
def test_a_dark_room_never_restarts_the_camera(lamp: bool) -> None:
    """Noise is cut off at black, and at the white of a standby lamp: pictures may be identical."""
    dark = np.zeros(SIZE, np.uint8)
    dark[50:54, 50:54] = 255 if lamp else 0
    judge = Judge(STALL)
    assert play(judge, lambda: dark, 60) is None
    assert judge.blind == "black"
    assert play(judge, lambda: np.full(SIZE, 16, np.uint8), 60, start=60) is None
    assert judge.blind == "black"


def test_a_gloomy_room_with_structure_is_a_picture() -> None:
    gloom = (scene() // 6 + 10).astype(np.uint8)  # 20 to 30
    judge = Judge(STALL)
    assert play(judge, lambda: noisy(gloom, 5), 60) is None
    assert judge.blind is None


def test_darkness_with_amplified_noise_is_black_not_covered() -> None:
    judge = Judge(STALL)
    play(judge, lambda: noisy(np.full(SIZE, 30, np.uint8), 8), 60)
    assert judge.blind == "black"


@pytest.mark.parametrize("level", [0, 16, 30, 36])
def test_what_is_black_is_dark_to_the_pipeline_too(level: int) -> None:
    """One measure: what a camera's notice calls black sets `low_light`."""
    picture = noisy(np.full(SIZE, level, np.uint8), 5)
    assert blindness(picture) == "black"
    assert exposure(picture).state == "dark"


def test_a_bright_wall_without_structure_is_covered_and_not_dark() -> None:
    picture = noisy(np.full(SIZE, 60, np.uint8), 5)
    assert blindness(picture) == "covered"
    assert exposure(picture).state == "flat"


def test_a_covered_lens_is_told_after_a_while_and_forgotten() -> None:
    rows, columns = np.indices(SIZE)
    hand = (110 + 30 * np.hypot(rows / 120 - 0.5, columns / 160 - 0.5)).astype(np.uint8)
    judge = Judge(STALL)
    assert play(judge, lambda: noisy(hand), 25) is None
    assert judge.blind is None, "somebody may stand close by"
    assert play(judge, lambda: noisy(hand), 10, start=25) is None
    assert judge.blind == "covered"
    play(judge, lambda: noisy(scene()), 2, start=35)
    assert judge.blind is None


def test_a_face_in_front_of_a_wall_is_not_covered() -> None:
    face = np.full(SIZE, 170, np.uint8)
    cv2.ellipse(face, (80, 60), (20, 28), 0, 0, 360, 130, -1)
    assert blindness(noisy(face)) is None
    assert blindness(noisy(cv2.GaussianBlur(scene(), (0, 0), 2))) is None


def test_green_is_a_stall_and_black_is_not() -> None:
    zeros = np.zeros(SIZE, np.uint8)
    judge = Judge(STALL)
    found = play(judge, lambda: zeros, 20, start=900.0, green=True)
    assert found is not None
    assert found[1] == "green"
    assert found[0] > 900.0 + STALL, "cameras may begin so"
    assert judge.blind is None
