"""The camera's line of `fleeting check`: format, size and rate, damage, light, and which way is up.

Light is judged by the agent's own measure (`agent.vision.exposure`) on a few pictures, taken after
automatic exposure had a second to settle.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from agent.base.config import AgentConfig
from agent.base.errors import ModelError
from agent.base.types import Frame, Grey
from agent.perceive.capture.orientation import Upright
from agent.perceive.capture.picture import blindness
from agent.perceive.capture.source import Source
from agent.vision.exposure import OVER_FROM, State, exposure
from agent.vision.pipeline import Models

MEASUREMENT = 2.0
"""Seconds over which the frame rate is measured."""
MIN_RATE = 0.9
"""Share of the configured frame rate that must be reached."""
MAX_DAMAGED, SOME_DAMAGED = 0.1, 0.01
"""Shares of frames that came damaged: too many; worth a word."""
BLACK = 16
"""Grey level up to which a pixel is called black: that of cameras of limited range."""
UPRIGHT_SCORE, MARGIN = 0.7, 0.15
"""Score of the detector that an upright face reaches, and by how much it exceeds that of the same
face lying on its side or standing on its head (0.6 at most)."""
_SETTLED, _SPACING, _SAMPLES = 1.0, 0.15, 5
"""Seconds before the first judged picture and between two; how many."""


class Report(NamedTuple):
    """Whether the agent can work with it, what was found, and what to do."""

    ok: bool
    detail: str
    advice: str = ""


class _Seen(NamedTuple):
    times: list[float]
    samples: list[Grey]
    damaged: int


def measure(source: Source, config: AgentConfig) -> Report:
    """Read an open camera or film for some seconds. Raises `CaptureError`."""
    seen = _read(source, config.source.stall)
    times, samples = seen.times, seen.samples
    if len(times) < 2:
        return Report(False, f"{source.name} gave only {len(times)} frame", "Use a longer video.")
    fps = (len(times) - 1 + source.counters.dropped) / (times[-1] - times[0])
    expected = config.source.fps if source.live else source.fps_nominal
    levels = np.bincount(np.concatenate([each.reshape(-1) for each in samples]), minlength=256)
    share = levels / levels.sum()
    height, width = samples[-1].shape
    detail = (
        f"{source.name}: {width}x{height}{_instead_of(source, config, samples[-1])}, "
        f"{fps:.1f} frames/s of {expected:g} asked, mean brightness "
        f"{np.arange(256) @ share:.0f} of 255, {share[: BLACK + 1].sum():.0%} black, "
        f"{share[OVER_FROM:].sum():.0%} white"
    )
    if seen.damaged:
        detail += f", {seen.damaged} damaged frame{'s' * (seen.damaged > 1)}"
    damaged = seen.damaged / (len(times) + seen.damaged)
    slow = fps < MIN_RATE * expected
    advice = [_light(samples), turned(samples, config)]
    if slow:
        advice.insert(0, _SLOW)
    elif config.micro.enabled and fps < config.micro.min_fps:
        advice.insert(
            0,
            f"Below {config.micro.min_fps:g} frames/s no micro-expressions are reported; raise "
            "source.fps if you want them.",
        )
    if damaged > SOME_DAMAGED:
        advice.insert(0, _DAMAGED)
    good = not slow and damaged <= MAX_DAMAGED
    return Report(good, detail, " ".join(each for each in advice if each))


_SLOW = (
    "Add light (long exposures slow a camera; `v4l2-ctl -c exposure_dynamic_framerate=0` forbids "
    "them), choose a size that `v4l2-ctl --list-formats-ext` lists with this rate, or lower "
    "source.fps."
)
_DAMAGED = (
    "Frames come damaged: check the cable, use another port without a hub, or lower source.width, "
    "height or fps."
)


def _read(source: Source, stall: float) -> _Seen:
    """Frame times, by the frames' own stamps, and pictures to judge."""
    times: list[float] = []
    samples: list[Grey] = []
    due = _SETTLED
    latest: Grey | None = None
    end = time.monotonic() + MEASUREMENT + stall
    for frame in source:
        times.append(frame.time)
        latest, passed = frame.luma, frame.time - times[0]
        if passed >= due and len(samples) < _SAMPLES:
            samples.append(latest)
            due = passed + _SPACING
        if passed >= MEASUREMENT or time.monotonic() > end:
            break
    if not samples and latest is not None:
        samples.append(latest)
    return _Seen(times, samples, source.counters.damaged)


def _instead_of(source: Source, config: AgentConfig, luma: Grey) -> str:
    """The size that was asked for, where a camera gives another."""
    height, width = luma.shape
    asked = (config.source.width, config.source.height)
    if config.source.rotate % 180:
        asked = asked[::-1]
    if not source.live or config.source.kind == "gstreamer" or (width, height) == asked:
        return ""
    return f" instead of {asked[0]}x{asked[1]}"


_LIGHT: dict[State, str] = {
    "good": "",
    "dark": "Dark: faces drown in noise. Add light, or let the camera expose longer.",
    "over": "Overexposed: faces in white areas are lost. Turn the camera away from windows and "
    "lamps, or shorten its exposure.",
    "flat": "Little contrast: clean the lens, and look for fog, glare, or a picture out of focus.",
}


def _light(samples: Sequence[Grey]) -> str:
    """Advice; empty: the light is good in most of the pictures."""
    blind = blindness(samples[-1])
    if blind == "black":
        return "Very dark: remove the lens cap or add light."
    if blind == "covered":
        return "There is nothing to be seen: uncover the lens, clean it, and point it at the place."
    return _LIGHT[Counter(exposure(each).state for each in samples).most_common(1)[0][0]]


def turned(samples: list[Grey], config: AgentConfig) -> str:
    """Advice where a face is upright only after a turn."""
    try:
        detector = Models(config).detector
    except ModelError:
        return ""  # said by another part of the check
    scores = [
        max(
            (
                float(detector(Frame(0.0, turn(each)), 0).scores.max(initial=0.0))
                for each in samples
            ),
            default=0.0,
        )
        for turn in (Upright(degrees) for degrees in (0, 90, 180, 270))
    ]
    best = int(np.argmax(scores))
    if best == 0 or scores[best] < UPRIGHT_SCORE or scores[best] < scores[0] + MARGIN:
        return ""
    extra = -90 * best if config.source.mirror else 90 * best
    rotate = (config.source.rotate + extra) % 360
    assert math.isclose(rotate % 90, 0)
    return f"A face is upright only after a turn: set source.rotate = {rotate}."
