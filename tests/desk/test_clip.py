"""The bundled clip matches its ground truth."""

from __future__ import annotations

from itertools import pairwise

import cv2
import numpy as np
import pytest

from agent.base.assets import CLIP
from agent.base.types import Grey
from agent.desk.trace import truth as script
from agent.perceive.capture.video_file import VideoFile


@pytest.mark.slow
def test_size_length_and_pace() -> None:
    truth = script.load()
    assert CLIP.stat().st_size < 2_000_000
    assert 35 <= truth.duration <= 60
    source = VideoFile(CLIP)
    times, shapes = [], set()
    for frame in source:
        times.append(frame.time)
        shapes.add(frame.luma.shape)
    assert shapes == {(480, 640)}
    assert len(times) == truth.frames
    assert np.allclose(np.diff(times), 1 / 30, atol=2e-3)
    assert not source.flags


def test_every_kind_of_movement_is_planted() -> None:
    truth = script.load()
    kinds = {event.kind for event in truth.events}
    assert kinds >= {"smile", "surprise", "frown", "blink", "turn", "micro"}
    micro = [event for event in truth.events if event.kind == "micro"]
    assert {event.polarity for event in micro} == {"positive", "negative", "surprise"}
    assert all(0.2 <= event.offset - event.onset <= 0.5 for event in micro)
    assert len(truth.visitors) == 4


def test_a_visitors_movements_do_not_run_into_each_other() -> None:
    truth = script.load()
    for name, enter, gone in truth.visitors:
        own = sorted((e for e in truth.events if e.visitor == name), key=lambda e: e.onset)
        assert own
        assert all(a.offset < b.onset for a, b in pairwise(own))
        assert all(e.onset <= e.apex <= e.offset for e in own)
        assert enter + 1.0 < own[0].onset
        assert own[-1].offset < gone


@pytest.mark.parametrize("kind", ["smile", "surprise"])
def test_the_first_visitors_mouth_changes_when_it_is_planted(kind: str) -> None:
    """A patch of the mouth is found again while it rests, wherever the head sways, and not after
    the movement has begun."""
    event = next(e for e in script.load().events if (e.visitor, e.kind) == ("first", kind))
    rest, onset, apex = (_frame(event.onset + shift) for shift in (-0.6, -0.03, 0.6))
    mouth = onset[262:318, 150:258]
    assert _likeness(rest, mouth) > 0.95
    assert _likeness(apex, mouth) < 0.85


def _likeness(picture: Grey, patch: Grey) -> float:
    """Best normalised correlation of `patch` near where it was cut."""
    near = picture[250:330, 138:270]
    return float(cv2.matchTemplate(near, patch, cv2.TM_CCOEFF_NORMED).max())


def _frame(time: float) -> Grey:
    capture = cv2.VideoCapture(str(CLIP))
    capture.set(cv2.CAP_PROP_POS_FRAMES, round(time * 30))
    ok, picture = capture.read()
    assert ok
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY), np.uint8)
