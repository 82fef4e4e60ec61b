"""Peak picking: one event per peak, none from a head that turns too fast to tell."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from agent.base.types import MICRO_ACTION_UNITS, MicroExpression
from agent.vision.micro.channels import CHANNEL_NAMES, FACE_CHANNELS
from agent.vision.micro.outputs import CENTRE, HEAT, KINDS, LOOK_AHEAD, OTHERS, OUTPUTS, UNITS
from agent.vision.micro.peaks import LATENCY, MAX_TURN, PeakPicker
from agent.vision.micro.speech import Heard
from agent.vision.micro.stream import INPUTS, STEP, FaceStream
from tests.vision.micro.tracks import make


def _peak(
    turn: float,
    at: int = 40,
    during: range = range(0, 200),
    unit: str = "AU04",
    speech: float = -3,
    missing: tuple[float, float] | None = None,
) -> list[MicroExpression]:
    """One peak of the score at step `at`, while the head turns in the steps of `during`; there are
    no landmarks between the times `missing`, which is known from the first of them on."""
    picker = PeakPicker(0.6, Counter())
    found: list[MicroExpression] = []
    for step in range(100):
        outputs = np.full(OUTPUTS, -3.0, np.float32)
        outputs[HEAT] = 3.0 - 2.0 * abs(step - at)
        outputs[CENTRE : UNITS.start] = 0.0
        outputs[UNITS.start + MICRO_ACTION_UNITS.index(unit)] = 2.0
        outputs[OTHERS.start + KINDS.index("speech")] = speech
        time = step * STEP
        if missing and time >= missing[0]:
            picker.miss(missing[0], missing[1] if time >= missing[1] else np.inf)
        found += picker.pop_due(0, time, time)
        picker.step(time, outputs, True, turn if step in during else 0.0)
    return found + picker.pop_due(0, np.inf, 10.0)


def test_a_peak_is_one_event_in_time() -> None:
    (event,) = _peak(0.0)
    centre = (40 - LOOK_AHEAD) * STEP
    assert (event.onset + event.offset) / 2 == pytest.approx(centre, abs=0.05)
    assert event.onset <= event.apex <= event.offset
    assert event.emitted <= event.offset + LATENCY + 2 * STEP


@pytest.mark.parametrize(("turn", "count"), [(0.9 * MAX_TURN, 1), (1.1 * MAX_TURN, 0)])
def test_a_fast_turn_hides_a_movement(turn: float, count: int) -> None:
    assert len(_peak(turn)) == count


def test_a_turn_before_or_after_hides_nothing() -> None:
    (event,) = _peak(0.0)
    begin, end = round(event.onset / STEP) - 1, round(event.offset / STEP) + 2
    assert len(_peak(5.0, during=range(0, begin))) == 1
    assert len(_peak(5.0, during=range(end, 100))) == 1
    assert len(_peak(5.0, during=range(begin, end))) == 0


def test_a_movement_that_reaches_into_a_stretch_without_landmarks_is_none() -> None:
    (event,) = _peak(0.0)
    middle = (event.onset + event.offset) / 2
    assert len(_peak(0.0, missing=(event.offset + 0.02, event.offset + 0.5))) == 1
    assert len(_peak(0.0, missing=(middle, event.offset + 0.5))) == 0
    assert len(_peak(0.0, missing=(event.onset - 0.5, event.onset + 0.02))) == 0
    assert len(_peak(0.0, missing=(event.onset - 0.5, event.onset - 0.05))) == 0, "settling"
    assert len(_peak(0.0, missing=(event.onset - 0.9, event.onset - 0.4))) == 1


@pytest.mark.parametrize(
    ("unit", "speech", "count"),
    [("AU12", -1.0, 1), ("AU12", 1.0, 0), ("AU15", 1.0, 0), ("AU04", 1.0, 1), ("AU07", 3.0, 1)],
)
def test_while_the_mouth_speaks_its_movements_are_speech(
    unit: str, speech: float, count: int
) -> None:
    found = _peak(0.0, unit=unit, speech=speech)
    assert [event.action_units[0] for event in found] == [unit] * count


def _with_microphone(
    spoken: range,
    logits: dict[str, float],
    *,
    heat: float = 3.0,
    moving: tuple[str, ...] = ("brow",),
    known: bool = True,
) -> list[MicroExpression]:
    """One peak at step 40, of a movement that channels `moving` show from step 20 to 31; speech is
    heard in the steps of `spoken`."""
    heard = Heard()
    picker = PeakPicker(0.6, Counter(), heard)
    found: list[MicroExpression] = []
    rows = [k for k, name in enumerate(CHANNEL_NAMES) if any(part in name for part in moving)]
    for step in range(100):
        time = step * STEP
        heard.add(time, float(step in spoken) if known else None)
        outputs = np.full(OUTPUTS, -3.0, np.float32)
        outputs[HEAT] = heat - 2.0 * abs(step - 40)
        outputs[CENTRE : UNITS.start] = 0.0
        for unit, logit in logits.items():
            outputs[UNITS.start + MICRO_ACTION_UNITS.index(unit)] = logit
        inputs = np.zeros(INPUTS, np.float32)
        inputs[:FACE_CHANNELS] = 0.2 * np.sin(np.arange(FACE_CHANNELS) * 1.7 * (step + 1))
        share = np.clip((time - 25 * STEP + 0.175) / 0.35, 0.0, 1.0)
        inputs[rows] += 3.0 * (0.5 - 0.5 * np.cos(2 * np.pi * share))
        found += picker.pop_due(0, time, time)
        picker.step(time, outputs, True, 0.0, inputs)
    return found + picker.pop_due(0, np.inf, 10.0)


ALL, NEVER, LATE = range(100), range(0), range(42, 43)
"""Steps; the peak is seen in step 41, after which speech is heard just before the report."""


@pytest.mark.parametrize(("spoken", "count"), [(NEVER, 1), (ALL, 0), (LATE, 0)])
def test_a_mouth_is_left_out_when_speech_is_heard_even_late(spoken: range, count: int) -> None:
    assert len(_with_microphone(spoken, {"AU12": 2.0}, moving=("lip", "chin"))) == count


@pytest.mark.parametrize("spoken", [ALL, LATE])
def test_units_of_the_mouth_are_left_out_of_a_movement_of_brows(spoken: range) -> None:
    logits = {"AU12": 3.0, "AU04": 2.0, "AU07": 1.0}
    (silent,) = _with_microphone(NEVER, logits)
    assert silent.action_units == ("AU12", "AU04", "AU07")
    assert silent.polarity == "positive"
    (event,) = _with_microphone(spoken, logits)
    assert event.action_units == ("AU04", "AU07")
    assert event.polarity == "negative"
    assert (event.onset, event.offset) == (silent.onset, silent.offset)


@pytest.mark.parametrize(
    ("spoken", "known", "count"), [(NEVER, True, 0), (NEVER, False, 0), (ALL, True, 1)]
)
def test_a_weak_score_counts_during_speech_alone_where_brows_stand_out(
    spoken: range, known: bool, count: int
) -> None:
    assert len(_with_microphone(spoken, {"AU04": 2.0}, heat=0.0, known=known)) == count
    assert len(_with_microphone(spoken, {"AU04": 2.0}, heat=-1.0, known=known)) == 0


def test_during_speech_brows_that_hardly_move_are_not_reported() -> None:
    assert len(_with_microphone(NEVER, {"AU04": 2.0}, heat=1.0, moving=("nose",))) == 1
    assert len(_with_microphone(ALL, {"AU04": 2.0}, heat=1.0, moving=("nose",))) == 0


def test_the_stream_knows_how_fast_a_head_turns() -> None:
    track = make(0, seconds=4, noise=0.0)
    angle = np.radians(30.0) * (track.times - 2.0).clip(0.0)  # 30 degrees a second in the picture
    centre = track.points.mean(axis=(0, 1))
    cos, sin = np.cos(angle)[:, None], np.sin(angle)[:, None]
    x, y = (track.points - centre).transpose(2, 0, 1)
    points = np.stack([cos * x - sin * y, sin * x + cos * y], axis=2) + centre
    stream = FaceStream()
    speeds: list[tuple[float, float]] = []
    for time, seen in zip(track.times.tolist(), points.astype(np.float32), strict=True):
        done = stream.push(time, seen, 1.0)
        speeds += [(stream.times.item(k), stream.turn(k)) for k in range(done)]
        assert stream.inputs.shape[1] > FACE_CHANNELS + 4
    before = [speed for at, speed in speeds if 0.5 < at < 1.8]
    after = [speed for at, speed in speeds if 2.2 < at < 3.8]
    assert max(before) < np.radians(3.0)
    assert np.median(after) == pytest.approx(np.radians(30.0), rel=0.05)
