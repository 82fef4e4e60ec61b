"""Facial movements in continuous time: micro-expressions, expressions, blinks, gaze, speech.

Schedules are drawn once, in seconds, and evaluated at whatever times the frames have: the same seed
shows the same events at every frame rate and noise.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tools.micro.generator_config import GeneratorConfig
from tools.micro.people import COLUMN, Person

Array = NDArray[np.float64]

MICRO_SETS: tuple[tuple[tuple[str, ...], float], ...] = (
    (("AU04",), 0.22),
    (("AU04", "AU07"), 0.13),
    (("AU12",), 0.09),
    (("AU14",), 0.10),
    (("AU01", "AU02"), 0.07),
    (("AU07",), 0.07),
    (("AU06", "AU12"), 0.04),
    (("AU01",), 0.03),
    (("AU02",), 0.03),
    (("AU01", "AU04"), 0.03),
    (("AU01", "AU02", "AU05"), 0.03),
    (("AU05",), 0.02),
    (("AU15",), 0.025),
    (("AU17",), 0.035),
    (("AU10",), 0.02),
    (("AU09",), 0.015),
    (("AU04", "AU09"), 0.01),
    (("AU20",), 0.015),
    (("AU24",), 0.02),
)
"""Sets of units and their weights, after the shares of coded units in published sets: 4 in about
two fifths, then 7, 12, 1, 14, 2; single units most often."""

MACRO_SETS: tuple[tuple[str, ...], ...] = (
    ("AU06", "AU12"),
    ("AU06", "AU12", "AU25"),
    ("AU12",),
    ("AU01", "AU02"),
    ("AU01", "AU02", "AU05", "AU26"),
    ("AU04",),
    ("AU04", "AU07", "AU23"),
    ("AU09", "AU10", "AU17"),
    ("AU01", "AU04", "AU15"),
    ("AU15", "AU17"),
    ("AU24",),
    ("AU01", "AU02", "AU04", "AU20", "AU25"),
)
_MICRO_WEIGHTS = np.array([weight for _, weight in MICRO_SETS])
_SMALL = {"AU05", "AU06", "AU07", "AU09", "AU24"}
_WHOLE = {"AU09", "AU17", "AU24"}
"""Never on one side alone."""
_LEAD, _TAIL, _BETWEEN = 2.0, 1.0, 0.9
"""Seconds without a micro-expression at the start, at the end and between two."""


@dataclass(frozen=True, slots=True)
class Event:
    """A movement that goes and comes back; seconds."""

    onset: float
    apex: float
    offset: float
    amplitude: float
    """Largest displacement of a landmark at the apex, IOD, before pose."""
    units: tuple[str, ...]
    """FACS numbers, e.g. AU04; empty for a blink."""
    side: str = "both"
    """both | left | right, of the image."""


@dataclass(frozen=True, slots=True)
class Course:
    """Temporal profile of a movement between onset and offset."""

    hold: float
    """Share of the duration at the apex."""
    sharpness: tuple[float, float]
    """Exponents on the way up and down; 1 is symmetric."""
    residual: float
    """Share left at the offset; gone with a time constant of .6 s."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """Movements with the strength of each unit: (event, course, {row: strength})."""

    events: list[Event]
    courses: list[Course]
    parts: list[dict[int, float]]


def micro_schedule(
    rng: np.random.Generator, config: GeneratorConfig, person: Person, seconds: float, count: int
) -> Schedule:
    """`count` micro-expressions, apart from each other, anywhere else.

    Raises ValueError where they do not fit into the time.
    """
    found = Schedule([], [], [])
    low, high = config.shortest, config.longest
    lengths = low + (high - low) * rng.beta(*config.duration_shape, size=count)
    free = seconds - _LEAD - _TAIL - lengths.sum() - _BETWEEN * max(count - 1, 0)
    if count and free < 0:
        raise ValueError(f"{count} micro-expressions do not fit into {seconds:g} s")
    gaps = np.sort(rng.uniform(0.0, max(free, 0.0), count))
    for k, length in enumerate(lengths):
        onset = _LEAD + gaps[k] + lengths[:k].sum() + _BETWEEN * k
        units = MICRO_SETS[rng.choice(len(MICRO_SETS), p=_MICRO_WEIGHTS / _MICRO_WEIGHTS.sum())][0]
        amplitude = rng.uniform(*config.amplitude)
        if set(units) <= _SMALL:
            amplitude *= config.small_units
        share = float(np.clip(rng.normal(*config.apex_share), 0.2, 0.8))
        one = rng.uniform() < config.one_sided * (3.0 if "AU14" in units else 0.95)
        side = ("both", "left", "right")[int(rng.integers(1, 3)) if one else 0]
        if _WHOLE & set(units):
            side = "both"
        strengths = _strengths(rng, units, 0.6, config.small_units)
        parts = _rescale(person, _parts(strengths, side), amplitude)
        course = Course(
            rng.uniform(0.0, config.hold), _sharpness(rng, 0.15), rng.uniform(0.0, config.residual)
        )
        onset = float(onset)
        apex, offset = onset + share * float(length), onset + float(length)
        found.events.append(Event(onset, apex, offset, float(amplitude), units, side))
        found.courses.append(course)
        found.parts.append(parts)
    return found


def macro_schedule(
    rng: np.random.Generator,
    config: GeneratorConfig,
    person: Person,
    seconds: float,
    micro: list[Event],
) -> Schedule:
    """Ordinary expressions, 0.6 to 4 s, where no micro-expression is."""
    found = Schedule([], [], [])
    least, median, most = config.macro_duration
    for _ in range(rng.poisson(config.macro_rate * seconds / 60)):
        length = float(np.clip(median * np.exp(rng.normal(0.0, 0.5)), least, most))
        units = MACRO_SETS[rng.integers(len(MACRO_SETS))]
        amplitude = float(rng.uniform(*config.macro_amplitude))
        if set(units) <= _SMALL:
            amplitude *= config.small_units
        share = float(np.clip(rng.normal(0.375, 0.12), 0.12, 0.7))
        strengths = _strengths(rng, units, 0.5, config.small_units)
        course = Course(rng.uniform(0.0, 0.6), _sharpness(rng, 0.3), rng.uniform(0.0, 0.15))
        starts = rng.uniform(0.3, max(seconds - length - 0.3, 0.4), 12)
        clear = [
            start
            for start in starts
            if all(
                start - 0.4 > event.offset or start + length + 0.4 < event.onset
                for event in micro + found.events
            )
        ]
        if not clear:
            continue
        onset = float(clear[0])
        apex = onset + share * length
        found.events.append(Event(onset, apex, onset + length, amplitude, units))
        found.courses.append(course)
        found.parts.append(_rescale(person, _parts(strengths, "both"), amplitude))
    return found


def blink_schedule(
    rng: np.random.Generator,
    config: GeneratorConfig,
    person: Person,
    seconds: float,
    micro: list[Event],
) -> Schedule:
    """Blinks at irregular times, and one with some of the micro-expressions."""
    found = Schedule([], [], [])
    near = rng.uniform(size=len(micro)) < config.with_blink
    middles = [
        float(rng.uniform(event.onset - 0.1, event.offset + 0.1))
        for event, chosen in zip(micro, near, strict=True)
        if chosen
    ]
    draws = rng.uniform(0.0, seconds, rng.poisson(config.blink_rate * seconds / 60))
    for middle in draws:
        if all(abs(middle - other) > 0.5 for other in middles):
            middles.append(float(middle))
    for middle in sorted(middles):
        closing, opening = rng.uniform(0.06, 0.11), rng.uniform(0.11, 0.26)
        depth = rng.uniform(0.4, 0.8) if rng.uniform() < 0.15 else rng.uniform(0.88, 1.0)
        brow = person.crosstalk * rng.uniform(0.7, 1.3)
        parts = {}
        for side in (0, 1):
            closure = depth * person.gap[side] * rng.uniform(0.95, 1.0)
            parts[COLUMN["LIDS", side]] = closure / 1.1  # the lower lid comes to meet it
            parts[COLUMN["BROW_WITH_LIDS", side]] = closure * brow
        found.events.append(
            Event(middle - closing, middle, middle + opening, float(depth * person.gap.mean()), ())
        )
        found.courses.append(Course(rng.uniform(0.0, 0.15), (1.0, rng.uniform(0.8, 1.1)), 0.0))
        found.parts.append(parts)
    return found


def speech_schedule(
    rng: np.random.Generator, config: GeneratorConfig, seconds: float
) -> tuple[list[tuple[float, float]], Schedule]:
    """Spans in which the person talks, and the mouth's movement syllable by syllable."""
    spans: list[tuple[float, float]] = []
    found = Schedule([], [], [])
    wanted = config.speech_share * seconds
    lengths: list[float] = []
    while wanted - sum(lengths) > 0.5:
        lengths.append(float(min(rng.uniform(1.5, 5.0), wanted - sum(lengths))))
    rest = seconds - sum(lengths)
    starts = np.sort(rng.uniform(0.0, max(rest, 0.0), len(lengths)))
    style = float(rng.uniform(*np.array(config.speech_amplitude) / config.speech_amplitude[1]))
    style = 0.5 + 0.5 * style
    for k, length in enumerate(lengths):
        begin = float(starts[k]) + sum(lengths[:k])
        spans.append((begin, begin + length))
        at = begin
        while at < begin + length - 0.08:
            step = float(np.exp(rng.normal(0.0, 0.25))) / config.speech_rate
            end = min(at + step * rng.uniform(1.0, 1.4), begin + length)
            if rng.uniform() > 0.12 and end - at > 0.06:  # else a short pause
                parts, amplitude = _syllable(rng, config, style)
                apex = at + (end - at) * rng.uniform(0.3, 0.6)
                found.events.append(Event(at, float(apex), float(end), amplitude, ()))
                found.courses.append(Course(rng.uniform(0.0, 0.3), (1.0, 1.0), 0.0))
                found.parts.append(parts)
            at += step
    return spans, found


def gaze_steps(rng: np.random.Generator, config: GeneratorConfig, seconds: float) -> Array:
    """Saccades float64[N, 3]: time, duration, and the lids' height from then on (down positive)."""
    count = rng.poisson(config.gaze_rate * seconds / 60)
    times = np.sort(rng.uniform(0.0, seconds, count))
    targets = rng.normal(0.0, config.gaze_step, count)
    back = rng.uniform(size=count) < 0.3
    extra = times[back] + rng.uniform(0.18, 0.7, int(back.sum()))
    targets_back = np.zeros(len(extra))
    steps = np.stack(
        [
            np.concatenate([times, extra]),
            rng.uniform(0.03, 0.07, count + len(extra)),
            np.concatenate([targets, targets_back]),
        ],
        axis=1,
    )
    return steps[np.argsort(steps[:, 0])]


def activate(times: Array, schedule: Schedule, into: Array) -> None:
    """Add a schedule's strengths to float64[T, K] at frame times float64[T]."""
    for event, course, parts in zip(schedule.events, schedule.courses, schedule.parts, strict=True):
        tail = 3.0 if course.residual > 1e-6 else 0.0
        first, last = np.searchsorted(times, (event.onset, event.offset + tail))
        value = pulse(times[first:last], event, course)
        for column, strength in parts.items():
            into[first:last, column] += strength * value


def activate_gaze(times: Array, steps: Array, into: Array) -> None:
    """Add the lids' following of the eyes."""
    level = np.zeros(len(times))
    before = 0.0
    for start, length, target in steps:
        first = np.searchsorted(times, start)
        level[first:] += (target - before) * ease((times[first:] - start) / length)
        before = target
    for side in (0, 1):
        into[:, COLUMN["GAZE", side]] += level


def activate_idle(
    rng: np.random.Generator, config: GeneratorConfig, times: Array, into: Array
) -> None:
    """A face at rest is never quite still: slow activity of every unit."""
    for name in ("AU01", "AU02", "AU04", "AU07", "AU12", "AU14", "AU17", "AU24", "AU25"):
        wave = config.idle * waves(rng, times, 6, 0.04, 0.7)
        tilt = rng.normal(1.0, 0.25)
        into[:, COLUMN[name, 0]] += wave
        into[:, COLUMN[name, 1]] += tilt * wave


def waves(rng: np.random.Generator, times: Array, count: int, low: float, high: float) -> Array:
    """A smooth random function of time with unit sd: sinusoids, low..high Hz, falling as 1/f."""
    frequency = np.exp(rng.uniform(np.log(low), np.log(high), count))
    weight = rng.normal(size=count) / frequency**0.75
    weight *= np.sqrt(2.0 / (weight**2).sum())
    phase = rng.uniform(0.0, 2 * np.pi, count)
    return np.asarray(np.sin(2 * np.pi * np.outer(times, frequency) + phase) @ weight)


def ease(share: Array) -> Array:
    """0 to 1 and smooth at both ends (minimum-jerk polynomial, Flash & Hogan 1985)."""
    x = np.clip(share, 0.0, 1.0)
    return x**3 * (10.0 - 15.0 * x + 6.0 * x**2)


def pulse(times: Array, event: Event, course: Course) -> Array:
    """Strength in [0, 1] at float64[T]: up to the apex, perhaps held, down to the residual."""
    held = course.hold * min(event.apex - event.onset, event.offset - event.apex)
    up = np.clip((times - event.onset) / (event.apex - held - event.onset), 0.0, 1.0)
    down = np.clip((event.offset - times) / (event.offset - event.apex - held), 0.0, 1.0)
    rise = 0.5 - 0.5 * np.cos(np.pi * up ** course.sharpness[0])
    fall = 0.5 - 0.5 * np.cos(np.pi * down ** course.sharpness[1])
    left = course.residual * np.exp(-np.maximum(times - event.offset, 0.0) / 0.6)
    return np.where(times < event.apex, rise, left + (1.0 - left) * fall)


def _syllable(
    rng: np.random.Generator, config: GeneratorConfig, style: float
) -> tuple[dict[int, float], float]:
    """One opening, rounding, spreading or closing of the mouth."""
    kind = rng.choice(4, p=[0.55, 0.2, 0.15, 0.1])
    amplitude = style * float(rng.uniform(*config.speech_amplitude))
    jaw = rng.uniform(0.3, 1.0)
    strengths = (
        {"AU26": jaw, "AU25": 1.0 - 0.7 * jaw},
        {"AU18": 0.7, "AU25": 0.35},
        {"AU20": 0.5, "AU25": 0.5},
        {"AU24": 0.5},
    )[kind]
    return {
        row: amplitude * strength for row, strength in _parts(strengths, "both").items()
    }, amplitude


def _strengths(
    rng: np.random.Generator, units: tuple[str, ...], least: float, small: float
) -> dict[str, float]:
    return {unit: rng.uniform(least, 1.0) * (small if unit in _SMALL else 1.0) for unit in units}


def _parts(strengths: dict[str, float], side: str) -> dict[int, float]:
    sides = {"both": (0, 1), "left": (0,), "right": (1,)}[side]
    return {COLUMN[unit, s]: strength for unit, strength in strengths.items() for s in sides}


def _rescale(person: Person, parts: dict[int, float], amplitude: float) -> dict[int, float]:
    """Strengths at which the largest displacement is `amplitude`."""
    field = sum(strength * person.fields[row] for row, strength in parts.items())
    largest = float(np.linalg.norm(np.asarray(field)[:, :2], axis=1).max())
    return {row: strength * amplitude / largest for row, strength in parts.items()}


def _sharpness(rng: np.random.Generator, spread: float) -> tuple[float, float]:
    up, down = np.exp(rng.normal(0.0, spread, 2))
    return float(up), float(down)
