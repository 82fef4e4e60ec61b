"""What `fleeting check` says of a camera's pictures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import cv2
import numpy as np
import pytest

from agent.base.assets import CLIP
from agent.base.config import AgentConfig
from agent.base.settings_file import parse
from agent.base.types import Frame
from agent.base.vocabulary import Flag
from agent.desk import check_camera
from agent.desk.check_camera import Report
from agent.perceive.capture.picture import blindness
from agent.perceive.capture.source import Counters
from agent.vision.exposure import exposure

RNG = np.random.default_rng(4)
SCENE = cv2.resize(RNG.integers(25, 230, (12, 16), np.uint8), (640, 480))
"""Grey levels of a room with enough light."""


class Film:
    """A camera that gives these pictures in turn, for 2.5 s."""

    live = True

    def __init__(self, pictures: Sequence[np.ndarray], fps: float = 30.0, damaged: int = 0) -> None:
        self.name, self.fps_nominal = "/dev/video0 (YUYV 640x480)", fps
        self.counters = Counters(dropped=damaged, damaged=damaged)
        self._pictures = pictures

    def drain_flags(self) -> set[Flag]:
        return set()

    def __iter__(self) -> Iterator[Frame]:
        for n in range(round(2.5 * self.fps_nominal)):
            yield Frame(5.0 + n / self.fps_nominal, self._pictures[n % len(self._pictures)])

    def __next__(self) -> Frame:
        raise StopIteration

    def close(self) -> None:
        pass


def report(*pictures: np.ndarray, fps: float = 30.0, damaged: int = 0, **source: object) -> Report:
    return check_camera.measure(Film(pictures, fps, damaged), config(**source))


def config(**source: object) -> AgentConfig:
    return parse({"source": {"kind": "v4l2", **source}}, "test")


@pytest.fixture(autouse=True)
def _no_face(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    if "face" not in request.node.name:
        monkeypatch.setattr(check_camera, "turned", lambda samples, config: "")


def test_a_good_camera_gets_no_advice() -> None:
    found = report(SCENE)
    assert found.ok
    assert not found.advice
    assert "/dev/video0 (YUYV 640x480): 640x480, 30.0 frames/s of 30 asked" in found.detail
    assert "0% black, 0% white" in found.detail


@pytest.mark.parametrize(
    ("picture", "word"),
    [
        (np.zeros_like(SCENE), "Very dark"),
        (SCENE // 12, "Very dark|Dark"),
        (SCENE // 6, "Dark"),
        (np.clip(SCENE.astype(int) * 4, 0, 255).astype(np.uint8), "Overexposed"),
        (np.clip(SCENE.astype(int) * 3, 0, 235).astype(np.uint8), "Overexposed"),
        ((100 + SCENE // 10).astype(np.uint8), "Little contrast"),
        (np.full_like(SCENE, 140), "nothing to be seen"),
    ],
)
def test_light(picture: np.ndarray, word: str) -> None:
    found = report(picture)
    assert found.ok
    assert any(each in found.advice for each in word.split("|")), found


ENDS = [0, 30, 47, 49, 80, 120, 234, 236, 255]


@pytest.mark.parametrize("low", ENDS)
@pytest.mark.parametrize("high", ENDS)
def test_light_is_judged_as_the_agent_judges_it(low: int, high: int) -> None:
    """Whatever the levels: the check advises where the pipeline stretches, and only there."""
    scene = (low + (SCENE.astype(float) - 25) / 204 * (high - low)).round().astype(np.uint8)
    scene[::40] = low  # edges: a scene, whatever its range
    advice, state = report(scene).advice, exposure(scene).state
    if blindness(scene) is not None:
        assert "Very dark" in advice or "nothing to be seen" in advice
        return
    words = {"good": "", "dark": "Dark", "over": "Overexposed", "flat": "Little contrast"}
    assert advice.startswith(words[state])
    assert bool(advice) == (state != "good")


def test_light_is_that_of_most_pictures() -> None:
    flash = np.full_like(SCENE, 255)
    assert not report(*[SCENE] * 9, flash).advice


def test_what_happens_while_exposure_settles_does_not_count() -> None:
    film = Film([SCENE])
    film._pictures = [np.zeros_like(SCENE)] * 28 + [SCENE] * 60
    assert not check_camera.measure(film, config()).advice


def test_another_size_and_rate_than_asked_is_said() -> None:
    small = cv2.resize(SCENE, (320, 240))
    assert "320x240 instead of 640x480," in report(small).detail
    assert "instead" not in report(np.rot90(SCENE).copy(), rotate=90).detail
    slow = report(SCENE, fps=10.0)
    assert not slow.ok
    assert "10.0 frames/s of 30 asked" in slow.detail
    assert "long exposures" in slow.advice
    asked = config(fps=15.0)
    assert check_camera.measure(Film([SCENE], 15.0), asked).advice.startswith("Below 25 frames/s")


@pytest.mark.parametrize(
    ("damaged", "ok", "advised"), [(0, True, False), (3, True, True), (20, False, True)]
)
def test_damaged_frames_are_counted(damaged: int, ok: bool, advised: bool) -> None:
    found = report(SCENE, damaged=damaged)
    assert found.ok == ok
    assert ("cable" in found.advice) == advised
    assert (f"{damaged} damaged frames" in found.detail) == bool(damaged)


@pytest.mark.slow
@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_a_face_that_is_not_upright_is_noticed(turns: int) -> None:
    capture = cv2.VideoCapture(str(CLIP))
    capture.set(cv2.CAP_PROP_POS_FRAMES, 240)
    frame = cv2.cvtColor(capture.read()[1], cv2.COLOR_BGR2GRAY)
    capture.release()
    hung = np.rot90(frame, turns).copy()
    expected = f"set source.rotate = {90 * turns}." if turns else ""
    assert report(hung).advice.endswith(expected)
    assert ("source.rotate" in report(hung).advice) == bool(turns)
    # as it would be with other settings already made
    already = report(hung, rotate=90).advice
    assert f"source.rotate = {(90 + 90 * turns) % 360}." in already or not turns
    mirrored = report(hung, mirror=True).advice
    assert f"source.rotate = {-90 * turns % 360}." in mirrored or not turns
