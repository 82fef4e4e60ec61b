"""A camera that stops: what is waited for, what is opened again, what ends the process."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence

import numpy as np
import pytest

from agent.base.config import SourceConfig
from agent.base.report import EventCode
from agent.base.types import Frame
from agent.perceive.capture import resilient
from agent.perceive.capture.live import CameraError, FailureKind
from agent.perceive.capture.resilient import TRIES, resilient_frames
from agent.perceive.capture.source import BaseSource
from agent.perceive.capture.spawn import StuckError

CONFIG = SourceConfig(kind="v4l2")
Script = Sequence["FailureKind | int"]
"""Per process of the camera: frames that it gives, or how it fails without any."""


class Scripted(BaseSource):
    """A camera that gives frames and fails as it is told, then ends."""

    live = True

    def __init__(self, script: Script, well: bool) -> None:
        super().__init__("test camera", 30.0)
        self.script, self.well, self.starts, self.ends = list(script), well, 0, 0
        self.closed = False
        self.limits: list[float | None] = []
        self._left = 0
        self._clock = 0.0

    def start(self) -> None:
        self.starts += 1
        now = self.script.pop(0) if self.script else 0
        self._kind: FailureKind | None = None if isinstance(now, int) else now
        self._left = now if isinstance(now, int) else 0

    def end(self) -> None:
        self.ends += 1

    def limit(self, fps: float | None) -> None:
        self.limits.append(fps)

    def drain_notices(self) -> list[EventCode]:
        return []

    def __iter__(self) -> Iterator[Frame]:
        return self

    def __next__(self) -> Frame:
        if self._left:
            self._left -= 1
            self._clock += 1 / 30
            return Frame(self._clock, np.zeros((16, 16), np.uint8))
        if self._kind is None and not self.script:
            raise StopIteration
        raise CameraError(self._kind or "hung", "The camera stopped.")

    def close(self) -> None:
        self.closed = True


class Listener:
    def __init__(self) -> None:
        self.events: list[EventCode] = []
        self.stalls: list[bool] = []
        self.opened = 0

    wanted: Sequence[float | None] = ()
    """Frames a second that are wanted at most, in the order of asking; then None."""

    @property
    def fps(self) -> float | None:
        first, *rest = self.wanted or (None,)
        self.wanted = rest
        return first

    def stalled(self, *, away: bool) -> None:
        self.stalls.append(away)

    def noticed(self, code: EventCode) -> None:
        self.events.append(code)

    def reopened(self) -> None:
        self.opened += 1


class Played:
    """One run over a script: flags of each frame, waits, what the listener heard."""

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, script: Script, *, well: bool = False
    ) -> None:
        self.camera, self.listener = Scripted(script, well), Listener()
        self.waits: list[float] = []
        self.flags: list[set[str]] = []
        self.error: Exception | None = None
        stop = threading.Event()
        monkeypatch.setattr(stop, "wait", self.waits.append)
        monkeypatch.setattr(resilient, "LiveCamera", lambda *_: self.camera)
        monkeypatch.setattr(resilient, "CameraProcess", lambda config: None)
        try:
            for _, _, flags in resilient_frames(CONFIG, stop, self.listener):
                self.flags.append(set(flags))
        except Exception as error:
            self.error = error


def test_a_camera_that_hangs_is_opened_again_and_flagged(monkeypatch: pytest.MonkeyPatch) -> None:
    played = Played(monkeypatch, [2, 2])
    assert played.error is None
    assert played.flags == [set(), set(), {"camera_restart"}, set()]
    assert played.waits == [1.0]
    assert played.listener.events == ["camera_stalled"]
    assert played.listener.stalls == [False]
    assert played.listener.opened == 1
    assert played.camera.ends == 1
    assert played.camera.closed


def test_the_camera_is_told_how_much_is_wanted_when_that_changes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    wanted = (None, None, 20.0, 20.0, 20.0, 20.0, 10.0, 10.0)
    monkeypatch.setattr(Listener, "wanted", wanted)
    played = Played(monkeypatch, [8])
    assert played.camera.limits == [None, 20.0, 10.0, None]


def test_after_three_new_processes_in_a_row_this_one_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    played = Played(monkeypatch, [5, "hung", "crashed", "hung", 5])
    assert isinstance(played.error, StuckError)
    assert f"{TRIES} times in a row" in str(played.error)
    assert played.waits == [1.0, 2.0, 4.0]
    assert played.camera.ends == played.camera.starts == TRIES + 1
    assert played.listener.events == ["camera_stalled"]  # said once
    assert played.listener.opened == 0
    assert played.camera.closed


def test_a_camera_that_was_well_again_has_three_more(monkeypatch: pytest.MonkeyPatch) -> None:
    played = Played(monkeypatch, [3] * 9, well=True)
    assert played.error is None
    assert played.waits == [1.0] * 8
    assert played.listener.events == ["camera_stalled"] * 8


def test_a_hang_at_startup_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    played = Played(monkeypatch, ["hung", 2])
    assert played.error is None
    assert played.flags == [set(), set()]  # no window saw it stop
    assert played.listener.opened == 1


def test_an_absent_camera_is_named_at_startup_and_waited_for_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    played = Played(monkeypatch, ["gone"])
    assert isinstance(played.error, CameraError)
    assert not played.listener.stalls
    played = Played(monkeypatch, [1, *["gone"] * 7, 1])  # type: ignore[list-item]
    assert played.error is None
    assert played.waits == [1.0, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]
    assert played.listener.stalls == [False, *[True] * 7]
    assert played.listener.events == ["camera_stalled"]


def test_pictures_that_are_none_have_names(monkeypatch: pytest.MonkeyPatch) -> None:
    played = Played(monkeypatch, ["frozen", "frozen", "green", 1])
    assert played.error is None
    assert played.listener.events == ["camera_frozen", "camera_green"]
