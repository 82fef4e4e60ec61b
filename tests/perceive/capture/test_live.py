"""A camera's stalls by name, and what is counted; against a process that is played."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import cast

import numpy as np
import pytest

from agent.base.config import SourceConfig
from agent.perceive.capture import live, ring
from agent.perceive.capture.live import OPENS_WITHIN, STARTS_WITHIN, CameraError, LiveCamera
from agent.perceive.capture.spawn import CameraProcess
from tests.perceive.capture.test_picture import noisy, scene

CONFIG = SourceConfig(kind="v4l2", target="/dev/video7", fps=10.0)
STALL = CONFIG.stall


class Played:
    """The camera's process, and this machine's clock: `wait` plays what comes next."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.number = ring.create()
        self.ring, self.writer = ring.Reader(self.number), ring.Writer(self.number)
        self.state, self.how_it_ended = "idle", "killed by SIGSEGV"
        self.now = 1000.0
        self.kills = self.starts = 0
        self.play: Callable[[], None] = lambda: None
        monkeypatch.setattr(f"{live.__name__}.time.monotonic", lambda: self.now)

    def start(self) -> None:
        self.ring.clear()
        self.writer = ring.Writer(self.number)
        self.state, self.starts = "running", self.starts + 1

    def wait(self, seconds: float) -> None:
        before = self.now
        self.play()
        if self.now == before:
            self.now += seconds

    def kill(self) -> None:
        self.kills, self.state = self.kills + 1, "idle"

    def close(self) -> None:
        self.state = "lost"

    def gives(self, make: Callable[[], np.ndarray], marks: int = 0, damaged: int = 0) -> None:
        """From now on a frame every tenth of a second."""

        def play() -> None:
            self.now += 0.1
            self.writer.put(self.now, make(), marks, damaged)

        self.writer.say(ring.OPEN, "/dev/video7 (test)")
        self.play = play


@pytest.fixture
def played(monkeypatch: pytest.MonkeyPatch) -> Iterator[Played]:
    found = Played(monkeypatch)
    yield found
    os.close(found.number)


@pytest.fixture
def camera(played: Played) -> LiveCamera:
    found = LiveCamera(CONFIG, cast("CameraProcess", played))
    found.start()
    return found


def fails(camera: LiveCamera) -> tuple[str, str]:
    """Kind and text of the next failure."""
    with pytest.raises(CameraError) as caught:
        for _ in camera:
            pass
    return caught.value.kind, str(caught.value)


def test_frames_come_with_the_cameras_time_and_name(played: Played, camera: LiveCamera) -> None:
    played.gives(lambda: noisy(scene()))
    frames = [next(camera) for _ in range(5)]
    np.testing.assert_allclose(np.diff([frame.time for frame in frames]), 0.1, atol=1e-6)
    assert camera.name == "/dev/video7 (test)"
    assert camera.counters.dropped == 0
    assert camera.drain_flags() == set()


def test_no_frame_is_a_hang_at_once(played: Played, camera: LiveCamera) -> None:
    played.gives(lambda: noisy(scene()))
    next(camera)
    played.play, began = lambda: None, played.now
    kind, text = fails(camera)
    assert kind == "hung"
    assert "gave no frame for 5 s" in text
    assert STALL < played.now - began < STALL + 1


def test_a_busy_reader_finds_the_newest_and_no_hang(played: Played, camera: LiveCamera) -> None:
    played.gives(lambda: noisy(scene()))
    next(camera)
    for _ in range(200):  # twenty seconds
        played.play()
    assert next(camera).time == played.now
    assert camera.counters.dropped == 199
    assert camera.drain_flags() == {"frames_dropped"}


def test_a_reader_that_slept_waits_once_more(played: Played, camera: LiveCamera) -> None:
    played.gives(lambda: noisy(scene()))
    next(camera)
    played.now += 50.0
    assert next(camera).time == played.now


@pytest.mark.parametrize(
    ("phase", "limit"), [(ring.STARTING, STARTS_WITHIN), (ring.OPENING, OPENS_WITHIN)]
)
def test_opening_may_take_longer(
    played: Played, camera: LiveCamera, phase: int, limit: float
) -> None:
    played.writer.say(phase, "")
    began = played.now
    kind, text = fails(camera)
    assert kind == "hung"
    assert "in time" in text
    assert limit <= played.now - began < limit + 1


def test_a_camera_that_says_so_is_gone(played: Played, camera: LiveCamera) -> None:
    played.writer.say(ring.FAILED, "/dev/video7 does not exist. Plug it in.")
    assert fails(camera) == ("gone", "/dev/video7 does not exist. Plug it in.")


def test_one_that_gave_up_waiting_says_more_and_hung(played: Played, camera: LiveCamera) -> None:
    played.gives(lambda: noisy(scene()))
    next(camera)

    def late() -> None:
        played.now += STALL
        played.writer.say(ring.FAILED, "Only damaged frames.")

    played.play = late
    assert fails(camera) == ("hung", "Only damaged frames.")


def test_a_process_that_ended_crashed(played: Played, camera: LiveCamera) -> None:
    played.gives(lambda: noisy(scene()))
    next(camera)
    played.state = "idle"
    kind, text = fails(camera)
    assert kind == "crashed"
    assert "killed by SIGSEGV" in text


def test_a_frozen_picture_never_goes_on_as_a_visit(played: Played, camera: LiveCamera) -> None:
    """After the stall nothing of it is given on, however often the camera is opened again."""
    still = noisy(scene())
    played.gives(lambda: still)
    assert fails(camera)[0] == "frozen"
    for _ in range(3):
        camera.end()
        camera.start()
        played.gives(lambda: still)
        camera.drain_flags()
        with pytest.raises(CameraError) as caught:
            next(camera)  # not one frame
        assert caught.value.kind == "frozen"
        assert camera.drain_flags() == {"frames_dropped"}
    camera.end()
    camera.start()
    played.gives(lambda: noisy(scene()))
    next(camera)


def test_a_green_picture_is_not_given_on(played: Played, camera: LiveCamera) -> None:
    played.gives(lambda: noisy(scene()))
    next(camera)
    played.gives(lambda: np.zeros((120, 160), np.uint8), marks=ring.GREEN)
    with pytest.raises(CameraError) as caught:
        next(camera)
    assert caught.value.kind == "green"
    assert camera.counters.dropped > 40


def test_darkness_is_said_once_and_goes_on(played: Played, camera: LiveCamera) -> None:
    played.gives(lambda: np.full((120, 160), 16, np.uint8))
    said = []
    for _ in range(900):
        next(camera)
        said += camera.drain_notices()
    assert said == ["camera_black"]
    assert not camera.drain_flags(), "low_light is the pipeline's to say, of most of a window"
    assert camera.well
    assert played.kills == 0
    played.gives(lambda: noisy(scene()))
    for _ in range(700):
        next(camera)
    assert not camera.drain_flags()
    played.gives(lambda: np.full((120, 160), 16, np.uint8))
    for _ in range(100):
        next(camera)
    assert camera.drain_notices() == ["camera_black"]


def test_a_flicker_of_the_light_is_one_episode(played: Played, camera: LiveCamera) -> None:
    said = []
    for _ in range(5):
        for make in (lambda: np.full((120, 160), 16, np.uint8), lambda: noisy(scene())):
            played.gives(make)
            for _ in range(80):
                next(camera)
            said += camera.drain_notices()
    assert said == ["camera_black"]


def test_what_was_missed_meanwhile_counts_as_dropped(played: Played, camera: LiveCamera) -> None:
    played.gives(lambda: noisy(scene()))
    next(camera)
    played.play = lambda: None
    fails(camera)
    camera.end()
    camera.start()
    played.gives(lambda: noisy(scene()))
    next(camera)
    assert 50 <= camera.counters.dropped <= 60  # 5 s at 10 frames a second
    played.gives(lambda: noisy(scene()), damaged=7)
    before = camera.counters.dropped
    next(camera)
    assert camera.counters.dropped == before + 7


@pytest.mark.parametrize("stamp", [0.0, 1e9, -5.0, 1e300])
def test_a_strange_time_is_not_believed(played: Played, camera: LiveCamera, stamp: float) -> None:
    played.gives(lambda: noisy(scene()))
    before = next(camera).time
    played.play = lambda: None
    played.now += 0.1
    played.writer.put(stamp, noisy(scene()), 0, 0)
    assert before < next(camera).time <= played.now
    assert "bad_timestamps" in camera.drain_flags()


def test_recovered_is_who_gives_frames_for_some_time(played: Played, camera: LiveCamera) -> None:
    played.gives(lambda: noisy(scene()))
    for _ in range(90):
        next(camera)
    assert not camera.well
    for _ in range(30):
        next(camera)
    assert camera.well
    camera.end()
    camera.start()
    assert not camera.well


def test_closing_ends_the_iteration(played: Played, camera: LiveCamera) -> None:
    played.gives(lambda: noisy(scene()))
    next(camera)
    camera.close()
    camera.close()
    assert list(camera) == []
    assert played.state == "lost"
