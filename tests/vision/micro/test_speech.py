"""Speech that is heard: when it counts, and what stands out from a mouth that speaks."""

from __future__ import annotations

import math

import numpy as np
import pytest

from agent.base.types import Float, MicroExpression
from agent.vision.micro.channels import CHANNEL_NAMES, FACE_CHANNELS
from agent.vision.micro.speech import DELAY, LEAST_EVIDENCE, MARGIN, Course, Heard
from agent.vision.micro.stream import INPUTS, STEP

EVENT = MicroExpression(1, 1.0, 1.2, 1.4, 0.02, "negative", ("AU04",), 0.8)
BROWS = tuple(k for k, name in enumerate(CHANNEL_NAMES) if "brow" in name)
LIPS = tuple(k for k, name in enumerate(CHANNEL_NAMES) if "lip" in name or name == "chin")


@pytest.mark.parametrize(
    ("at", "spoken"),
    [
        (1.0 - MARGIN - 0.01, False),
        (1.0 - MARGIN + 0.01, True),
        (1.2, True),
        (1.4 + MARGIN + DELAY - 0.01, True),
        (1.4 + MARGIN + DELAY + 0.01, False),
    ],
)
def test_speech_counts_close_to_a_movement_and_a_little_late(at: float, spoken: bool) -> None:
    heard = Heard()
    heard.add(at, 0.9)
    assert heard.during(EVENT.onset, EVENT.offset) is spoken


@pytest.mark.parametrize("probability", [None, math.nan, 0.0, 0.49])
def test_what_is_not_known_or_unlikely_is_no_speech(probability: float | None) -> None:
    heard = Heard()
    heard.add(1.2, probability)
    assert not heard.during(EVENT.onset, EVENT.offset)
    assert heard.known is (probability in (0.0, 0.49))


def test_a_microphone_that_goes_leaves_what_was_heard_before() -> None:
    heard = Heard()
    heard.add(1.2, 1.0)
    heard.add(1.3, None)
    assert not heard.known
    assert heard.during(1.0, 1.4)


def test_nothing_is_remembered_for_long_or_from_another_clock() -> None:
    heard = Heard()
    for k in range(3_000):
        heard.add(100.0 + k / 30, 1.0)
    assert not heard.during(100.0, 190.0)
    heard.add(0.1, 0.0)
    assert not heard.during(0.0, 1e9)


def _course(moves: dict[int, float], late: float = 0.0) -> Course:
    """Channels `moves` go as far as that, noises at rest, over the event, some of them later."""
    rng = np.random.default_rng(4)
    course = Course()
    for k in range(60):
        time = k * STEP
        plain = 0.3 * rng.standard_normal(FACE_CHANNELS)
        for rank, (channel, size) in enumerate(moves.items()):
            share = np.clip((time - EVENT.onset - late * (rank % 2)) / 0.4, 0.0, 1.0)
            plain[channel] += size * (0.5 - 0.5 * np.cos(2 * np.pi * share))
        inputs: Float = np.zeros(INPUTS, np.float32)
        inputs[:FACE_CHANNELS] = 4.0 * np.arcsinh(plain / 4.0)
        course.add(time, inputs)
    return course


def test_brows_stand_out_from_a_mouth_that_moves_less() -> None:
    course = _course(dict.fromkeys(BROWS, 5.0) | dict.fromkeys(LIPS, 1.0))
    assert course.evidence(EVENT, 0.4, 0.0) > LEAST_EVIDENCE + 1.0


def test_a_mouth_that_goes_further_hides_everything() -> None:
    course = _course(dict.fromkeys(BROWS, 5.0) | dict.fromkeys(LIPS, 8.0))
    assert course.evidence(EVENT, 5.0, 0.0) == -math.inf


def test_a_turn_and_brows_that_do_not_go_together_take_evidence_away() -> None:
    together = _course(dict.fromkeys(BROWS, 4.0))
    apart = _course(dict.fromkeys(BROWS, 4.0), late=0.25)
    assert together.evidence(EVENT, 0.0, 0.0) > apart.evidence(EVENT, 0.0, 0.0) + 0.5
    assert together.evidence(EVENT, 0.0, 0.5) == pytest.approx(
        together.evidence(EVENT, 0.0, 0.0) - 1.0
    )


def test_without_the_course_nothing_speaks_for_a_movement() -> None:
    assert Course().evidence(EVENT, 9.0, 0.0) == -math.inf
    assert _course({}).evidence(EVENT, 0.0, 0.0) < LEAST_EVIDENCE
