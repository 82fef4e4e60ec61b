"""A microphone that comes and goes."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest

from agent.base.config import SoundConfig
from agent.base.errors import CaptureError
from agent.base.types import SOUND_RATE, Float, Sound
from agent.perceive.capture import microphone
from agent.perceive.capture.microphone import Microphone

BLOCK = np.full(SOUND_RATE // 100, 0.5, np.float32)


class FakeInput:
    """Gives a block whenever it is told to; fails or hangs on command."""

    name = "fake"

    def __init__(self) -> None:
        self.turn = threading.Semaphore(0)
        self.broken = False
        self.closed = False

    def read(self) -> Float:
        self.turn.acquire(timeout=5)
        if self.broken:
            raise CaptureError("The microphone failed.")
        return BLOCK

    def give(self, blocks: int) -> None:
        for _ in range(blocks):
            self.turn.release()

    def close(self) -> None:
        self.closed = True


def opened(**config: float) -> tuple[Microphone, FakeInput, list[str]]:
    fake, events = FakeInput(), list[str]()
    found = Microphone(
        SoundConfig(**config),  # type: ignore[arg-type]
        events.append,
        lambda _: fake,  # type: ignore[arg-type, return-value]
    )
    return found, fake, events


def await_samples(source: Microphone, count: int) -> list[Sound]:
    found: list[Sound] = []
    deadline = time.monotonic() + 5
    while sum(len(each.samples) for each in found) < count and time.monotonic() < deadline:
        found += source.until(time.monotonic())
        time.sleep(0.005)
    return found


def test_every_sample_is_given_once_and_dated_to_the_monotonic_clock() -> None:
    source, fake, _ = opened()
    started = time.monotonic()
    fake.give(30)
    found = await_samples(source, 30 * len(BLOCK))
    assert sum(len(each.samples) for each in found) == 30 * len(BLOCK)
    assert abs(found[-1].end - time.monotonic()) < 1.0 + time.monotonic() - started
    assert list(source.until(time.monotonic())) == []
    fake.turn.release()
    source.close()
    assert fake.closed


def test_what_is_not_taken_within_four_seconds_is_overwritten_and_counted() -> None:
    source, fake, _ = opened()
    fake.give(500)
    deadline = time.monotonic() + 5
    while source._ring.total < 500 * len(BLOCK) and time.monotonic() < deadline:
        time.sleep(0.005)
    found = list(source.until(time.monotonic()))
    assert sum(len(each.samples) for each in found) == 4 * SOUND_RATE
    assert source.lost == pytest.approx(1.0, abs=0.01)
    source.forget()
    assert not source._ring.latest(SOUND_RATE).any()
    fake.turn.release()
    source.close()


def test_one_that_is_gone_is_reported_once_and_opened_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(microphone, "_MAX_BACKOFF", 0.01)
    source, fake, events = opened(stall=0.5)
    fake.give(2)
    await_samples(source, 2 * len(BLOCK))
    fake.broken = True
    fake.give(1)
    deadline = time.monotonic() + 5
    while not events and time.monotonic() < deadline:
        assert list(source.until(time.monotonic())) == []
        time.sleep(0.02)
    assert events == ["microphone_stalled"]
    fake.broken = False
    fake.give(3)
    await_samples(source, len(BLOCK))
    assert events == ["microphone_stalled", "microphone_restarted"]
    fake.turn.release()
    source.close()


def test_one_that_is_not_there_raises_nothing() -> None:
    def none(_: SoundConfig) -> object:
        raise CaptureError("There is no microphone.")

    source = Microphone(SoundConfig(), opener=none)  # type: ignore[arg-type]
    assert list(source.until(time.monotonic())) == []
    source.close()
