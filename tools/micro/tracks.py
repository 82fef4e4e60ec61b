"""A synthetic track: one face's landmarks for a minute, with known micro-expressions.

Each factor (person, events, blinks, head, noise ...) has a random stream of its own, so one seed
shows the same person doing the same things at every noise, frame rate and strength of distractors.
What is known of real tracks is in `config`; what is assumed, too. Figures on such tracks compare
methods; they are not accuracies on people.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from tools.micro import corruptions
from tools.micro.generator_config import GeneratorConfig
from tools.micro.head import move, project
from tools.micro.movements import (
    Event,
    activate,
    activate_gaze,
    activate_idle,
    blink_schedule,
    gaze_steps,
    macro_schedule,
    micro_schedule,
    speech_schedule,
)
from tools.micro.people import COLUMN, LIDS, LIPS, make_person

Array = NDArray[np.float64]
Span = tuple[float, float]

_FACTORS = ("person", "micro", "macro", "blinks", "gaze", "speech", "idle", "head", "light",
            "tracker", "clock", "losses", "confidence", "noise")  # fmt: skip
_DEFAULT = GeneratorConfig()


@dataclass(frozen=True, slots=True, eq=False)
class Track:
    """A tracker's output and the ground truth."""

    timestamps: Array
    """float64[T], rising seconds."""
    landmarks: NDArray[np.float32]
    """float32[T, 68, 2], iBUG order, frame pixels, finite."""
    confidence: NDArray[np.float32]
    """float32[T] in [0, 1]; 0 where the face was lost: the landmarks then stand still."""
    iod: float
    """Pixels: the frontal neutral face's distance between the outer eye corners."""
    seconds: float
    fps: float
    noise: float
    """Standard deviation of the noise per coordinate, IOD."""
    micro: list[Event]
    """By onset."""
    macro: list[Event] = field(default_factory=list)
    blinks: list[Event] = field(default_factory=list)
    speech: list[Span] = field(default_factory=list)
    gaze: list[Span] = field(default_factory=list)
    head: list[Span] = field(default_factory=list)
    """Nods and turns."""
    light: list[float] = field(default_factory=list)
    restarts: list[float] = field(default_factory=list)
    glitches: list[float] = field(default_factory=list)


def make(
    seed: int,
    *,
    fps: float = 30.0,
    seconds: float = 60.0,
    noise: float = 0.003,
    events: int = 6,
    distractors: float = 1.0,
    config: GeneratorConfig = _DEFAULT,
) -> Track:
    """One track.

    Parameters
    ----------
    seed : int
        0 or more; see the ranges in `config`.
    fps : float
        Nominal frames per second.
    seconds : float
        Length.
    noise : float
        Standard deviation of landmark noise per coordinate, IOD.
    events : int
        Micro-expressions.
    distractors : float
        0 none, 1 normal, 2 severe: see `GeneratorConfig.scaled`.

    Raises
    ------
    ValueError
        The micro-expressions do not fit into the time, or a figure is out of range.
    """
    if not (fps > 0 and seconds > 0 and noise >= 0 and distractors >= 0 and events >= 0):
        raise ValueError("fps and seconds must be above 0; noise, events, distractors not below")
    config = config.scaled(distractors)
    rng = {name: np.random.default_rng([seed, k]) for k, name in enumerate(_FACTORS)}
    count = max(round(seconds * fps), 1)
    person = make_person(rng["person"], config)
    taken, stamps = corruptions.clock(rng["clock"], config, count, fps)

    micro = micro_schedule(rng["micro"], config, person, seconds, events)
    macro = macro_schedule(rng["macro"], config, person, seconds, micro.events)
    blinks = blink_schedule(rng["blinks"], config, person, seconds, micro.events)
    speech, syllables = speech_schedule(rng["speech"], config, seconds)
    gaze = gaze_steps(rng["gaze"], config, seconds)
    strength = np.zeros((count, len(COLUMN)))
    for schedule in (micro, macro, blinks, syllables):
        activate(taken, schedule, strength)
    activate_gaze(taken, gaze, strength)
    activate_idle(rng["idle"], config, taken, strength)

    face = (strength @ person.fields.reshape(len(COLUMN), -1)).reshape(count, 68, 3)
    face += person.shape
    _keep_apart(face, LIDS, upper_gives_way=True)
    _keep_apart(face, LIPS, upper_gives_way=False)
    motion = move(rng["head"], config, taken, seconds, speech)
    points = project(config, person, face, motion)
    found = corruptions.bias(rng["light"], rng["tracker"], config, person, taken, seconds)
    turned = np.degrees(motion.angles[:, [1, 0]]) / 10.0
    error = found.offset + np.einsum("tk,kpd->tpd", turned, person.pose_bias)
    if noise:
        error += noise * corruptions.landmark_noise(rng["noise"], config, person, count, fps)
    points += person.iod * error

    arrives, seen = corruptions.losses(rng["losses"], config, taken, seconds)
    confidence = 0.95 + 0.02 * rng["confidence"].standard_normal(count) - found.doubt
    confidence = np.where(seen, np.clip(confidence, 0.05, 1.0), 0.0)
    last = np.maximum.accumulate(np.where(seen, np.arange(count), 0))
    points = points[last]
    return Track(
        timestamps=stamps[arrives],
        landmarks=points[arrives].astype(np.float32),
        confidence=confidence[arrives].astype(np.float32),
        iod=person.iod,
        seconds=seconds,
        fps=fps,
        noise=noise,
        micro=micro.events,
        macro=sorted(macro.events, key=lambda event: event.onset),
        blinks=blinks.events,
        speech=speech,
        gaze=[(float(at), float(at + length)) for at, length, _ in gaze],
        head=motion.spans,
        light=found.light,
        restarts=found.restarts,
        glitches=found.glitches,
    )


def _keep_apart(face: Array, pairs: tuple[tuple[int, int], ...], upper_gives_way: bool) -> None:
    """Lids and lips meet; they do not cross."""
    for upper, lower in pairs:
        overlap = np.maximum(face[:, upper, 1] - face[:, lower, 1] + 0.004, 0.0)
        face[:, upper, 1] -= overlap * (1.0 if upper_gives_way else 0.5)
        if not upper_gives_way:
            face[:, lower, 1] += 0.5 * overlap
