"""Assembly of a track: an anatomy, a family of courses, a way of talking and of moving the head.

Everything that a published statistic does not fix is drawn for each track from wide priors.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tools.micro.movements import MACRO_SETS, MICRO_SETS, Event
from tools.train.micro.generators import capture, talk
from tools.train.micro.generators.anatomy import LID_PAIRS, Anatomy, lid_gap
from tools.train.micro.generators.courses import Course, Family, held, pick, with_residual
from tools.train.micro.generators.motion import MOTIONS, gestures
from tools.train.micro.generators.signals import waves
from tools.train.micro.samples import Material

Array = NDArray[np.float64]
Span = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Condition:
    """What a track is to show."""

    fps: float = 30.0
    noise: float = 0.003
    """Standard deviation of landmark noise per coordinate, IOD."""
    events: int = 6
    distractors: float = 1.0
    """1: as in life."""
    seconds: float = 60.0


@dataclass(frozen=True, slots=True)
class Recipe:
    """A generator's own parts."""

    anatomy: Callable[[np.random.Generator], Anatomy]
    courses: Sequence[tuple[Family, float]]
    talk: str
    motion: str
    amplitude: str
    """Convention of an amplitude of 1 to 5 %: peak (the landmark that moves most), top (mean of
    the three that do), channel (largest component), rms (of all that move)."""


_SMALL = {"AU05", "AU06", "AU07", "AU09", "AU24"}
_WHOLE = {"AU09", "AU17", "AU24"}
_MICRO_UNITS = tuple(sorted({unit for units, _ in MICRO_SETS for unit in units}))
_KINDS = ("macro", "blink", "speech", "head_motion", "tracking_jump")


def make(rng: np.random.Generator, how: Condition, recipe: Recipe) -> Material:
    """One face for `how.seconds`, with everything that happens in it."""
    return _Minute(rng, how, recipe).material()


class _Minute:
    """A track in the making: strengths of movements are added up, then shown and recorded."""

    def __init__(self, rng: np.random.Generator, how: Condition, recipe: Recipe) -> None:
        self.rng, self.how, self.recipe = rng, how, recipe
        self.taken, self.stamps = capture.clock(rng, how.seconds, how.fps)
        self.anatomy = recipe.anatomy(rng)
        self.rows = {name: 2 * k for k, name in enumerate(self.anatomy.fields)}
        self.fields = np.stack([half for pair in self.anatomy.fields.values() for half in pair])
        self.strength = np.zeros((len(self.taken), len(self.fields)))
        self.face = np.zeros((len(self.taken), 68, 3))
        self.closure = np.zeros(len(self.taken))
        self.kinds: dict[str, list[Span]] = {kind: [] for kind in _KINDS}
        self.micro: list[Event] = []
        self.head_shake = np.zeros(len(self.taken))
        self.small = rng.uniform(0.45, 0.7)

    def material(self) -> Material:
        rng, how, times = self.rng, self.how, self.taken
        self._micro()
        self._macro()
        self._mouth()
        self._lids()
        self._idle()
        face = (self.strength @ self.fields.reshape(len(self.fields), -1)).reshape(-1, 68, 3)
        face += self.face + self.anatomy.shape
        for upper, lower in LID_PAIRS:
            overlap = np.maximum(face[:, upper, 1] - face[:, lower, 1] + 0.004, 0.0)
            face[:, upper, 1] -= overlap
        motion = MOTIONS[self.recipe.motion](rng, times, how.distractors)
        gestures(rng, times, motion, how.distractors)
        motion.angles[:, 0] += np.radians(rng.uniform(0.0, 1.0)) * self.head_shake
        for start, end in self.kinds["speech"]:
            inside = (times > start) & (times < end)
            bob = np.radians(rng.uniform(0.0, 1.0)) * waves(rng, times[inside], 0.6, 2.5, 0.3)
            ends = np.minimum(times[inside] - start, end - times[inside])
            motion.angles[inside, 0] += bob * np.clip(ends / 0.4, 0.0, 1.0)
        self.kinds["head_motion"] = motion.spans
        flat = capture.seen(rng, face, motion, times)
        flat = capture.estimated(rng, flat, self.anatomy.shape, motion, self.closure)
        wrong = capture.faults(rng, times, self.anatomy.shape, how.noise, how.distractors)
        self.kinds["tracking_jump"] = wrong.jumps
        flat = flat + wrong.offset
        flat += capture.noise(rng, len(times), how.fps, self.anatomy.shape, how.noise)
        if rng.random() < 0.15:
            flat = capture.smoothed(rng, flat, how.fps)
        pixels = np.exp(rng.uniform(np.log(60.0), np.log(200.0)))
        points = flat * pixels + rng.uniform(200.0, 400.0, 2)
        if rng.random() < 0.1:  # whole parts of a pixel, no coarser than the noise
            grid = min(rng.choice([0.125, 0.25, 0.5]), 2.0 * how.noise * pixels)
            points = grid * np.round(points / grid)
        arrives, found = capture.losses(rng, times)
        confidence = np.clip(0.96 + rng.normal(0.0, 0.015, len(times)) - wrong.doubt, 0.05, 1.0)
        points = points[np.maximum.accumulate(np.where(found, np.arange(len(found)), 0))]
        confidence = np.where(found, confidence, 0.0)
        return Material(
            self.stamps[arrives],
            points[arrives].astype(np.float32),
            confidence[arrives].astype(np.float32),
            self.micro,
            self.kinds,
        )

    def _add(self, name: str, curve: Array, sides: tuple[float, float] = (1.0, 1.0)) -> None:
        for side in (0, 1):
            if sides[side]:
                self.strength[:, self.rows[name] + side] += sides[side] * curve

    def _scaled(self, parts: dict[str, float], sides: tuple[float, float], amplitude: float,
                convention: str) -> tuple[dict[str, float], float]:  # fmt: skip
        """Strengths for an amplitude by a convention, and the peak displacement they give."""
        field = sum(
            share * (sides[0] * self.anatomy.fields[n][0] + sides[1] * self.anatomy.fields[n][1])
            for n, share in parts.items()
        )
        flat = np.asarray(field)[:, :2]
        size = np.linalg.norm(flat, axis=1)
        peak = float(size.max())
        measure = {
            "peak": peak,
            "top": float(np.sort(size)[-3:].mean()),
            "channel": float(np.abs(flat).max()),
            "rms": float(np.sqrt((size[size > 0.2 * peak] ** 2).mean())),
        }[convention]
        factor = amplitude / max(measure, 1e-6)
        return {name: share * factor for name, share in parts.items()}, peak * factor

    def _micro(self) -> None:
        rng, seconds = self.rng, self.how.seconds
        apart = rng.uniform(0.3, 1.0)
        weights = np.array([w for _, w in MICRO_SETS]) * np.exp(rng.normal(0, 0.4, len(MICRO_SETS)))
        one_sided, residual = rng.uniform(0.05, 0.3), rng.uniform(0.0, 0.2)
        spread, mean = rng.uniform(0.08, 0.12), rng.uniform(0.33, 0.41)
        for _ in range(200):
            if len(self.micro) == self.how.events:
                break
            length = float(np.clip(rng.normal(mean, spread), 0.12, 0.56))
            onset = float(rng.uniform(1.5, seconds - length - 0.8))
            offset = onset + length
            if any(onset < e.offset + apart and offset + apart > e.onset for e in self.micro):
                continue
            units = MICRO_SETS[int(rng.choice(len(weights), p=weights / weights.sum()))][0]
            if rng.random() < 0.12:
                units = tuple(rng.choice(_MICRO_UNITS, 2, replace=False))
            side = "both"
            if rng.random() < one_sided * (3.0 if "AU14" in units else 0.9):
                side = "left" if rng.random() < 0.5 else "right"
            if _WHOLE.intersection(units):
                side = "both"
            sides = (float(side != "right"), float(side != "left"))
            amplitude = rng.uniform(0.01, 0.05)
            if rng.random() < 0.4:
                amplitude = float(np.exp(rng.uniform(np.log(0.01), np.log(0.05))))
            if self.recipe.amplitude == "rms":
                amplitude *= 0.8
            if _SMALL.issuperset(units):
                amplitude *= self.small
            parts = {u: rng.uniform(0.5, 1.0) * (self.small if u in _SMALL else 1.0) for u in units}
            scaled, peak = self._scaled(parts, sides, amplitude, self.recipe.amplitude)
            course = pick(rng, self.recipe.courses)
            if residual > 0.05:
                course = with_residual(rng, course, residual)
            lag = 0.0 if rng.random() < 0.7 else rng.uniform(0.0, 0.04)
            for k, (name, share) in enumerate(scaled.items()):
                late = lag if k else 0.0
                self._add(name, share * course(self.taken, onset + late, offset + late), sides)
            apex = onset + course.apex * length
            self.micro.append(Event(onset, apex, offset, peak, units, side))
        self.micro.sort(key=lambda event: event.onset)

    def _clear(self, start: float, end: float, margin: float) -> bool:
        return all(end + margin < e.onset or start - margin > e.offset for e in self.micro)

    def _macro(self) -> None:
        rng, seconds, strong = self.rng, self.how.seconds, self.how.distractors
        over = rng.random() < 0.25
        subtle = rng.uniform(0.0, 0.3)
        for _ in range(rng.poisson(rng.uniform(0.5, 6.0) * strong * seconds / 60)):
            length = float(np.clip(1.2 * np.exp(rng.normal(0.0, 0.55)), 0.62, 4.0))
            if rng.random() < 0.08:
                length = rng.uniform(4.0, 12.0)
            start = rng.uniform(0.2, max(seconds - length - 0.2, 0.3))
            spans = self.kinds["macro"]
            if any(start < b + 0.2 and start + length > a - 0.2 for a, b in spans):
                continue
            if not over and not self._clear(start, start + length, 0.3):
                continue
            units = MACRO_SETS[int(rng.integers(len(MACRO_SETS)))]
            units = tuple(u if u in self.rows else "AU24" for u in units)
            if rng.random() < 0.3:
                units = MICRO_SETS[int(rng.integers(len(MICRO_SETS)))][0]
            small = rng.random() < subtle and length > 0.8
            amplitude = rng.uniform(0.012, 0.04) if small else rng.uniform(0.04, 0.14)
            if _SMALL.issuperset(units):
                amplitude *= self.small
            parts = {u: rng.uniform(0.4, 1.0) * (0.6 if u in _SMALL else 1.0) for u in units}
            uneven = np.exp(rng.normal(0.0, 0.15, 2))
            sides = (float(uneven[0]), float(uneven[1]))
            scaled, _ = self._scaled(parts, sides, amplitude, "peak")
            course: Course = held(rng, length)
            for name, share in scaled.items():
                self._add(name, share * course(self.taken, start, start + length), sides)
            spans.append((start, start + length))

    def _mouth(self) -> None:
        rng, seconds, strong, times = self.rng, self.how.seconds, self.how.distractors, self.taken
        share = 0.0 if rng.random() < 0.15 else min(rng.uniform(0.05, 0.5) * strong, 0.7)
        size = np.exp(rng.uniform(np.log(0.0005), np.log(0.006)))
        loud = np.exp(rng.uniform(np.log(0.4), np.log(1.3)))
        spoken = 0.0
        for _ in range(60):
            if spoken >= share * seconds:
                break
            length = rng.uniform(0.8, 6.0)
            start = rng.uniform(0.0, seconds - length)
            span = (start, start + length)
            if any(start < b + 0.3 and span[1] > a - 0.3 for a, b in self.kinds["speech"]):
                continue
            for name, curve in talk.TALKS[self.recipe.talk](rng, times, span).items():
                self._add(name, loud * curve)
            for name, curve in talk.prosody(rng, times, span, size).items():
                self._add(name, curve)
            self.kinds["speech"].append(span)
            spoken += length
        if rng.random() < 0.12:
            length = rng.uniform(3.0, 12.0)
            start = rng.uniform(0.0, seconds - length)
            for name, curve in talk.chewing(rng, times, (start, start + length)).items():
                self._add(name, curve)
            self.kinds["speech"].append((start, start + length))
        for _ in range(rng.poisson(1.0 * seconds / 60)):
            start = rng.uniform(0.0, seconds - 1.5)
            if not self._clear(start, start + 1.3, 0.2):
                continue
            span, parts = talk.swallowing(rng, times, start)
            for name, curve in parts.items():
                self._add(name, curve)
            self.kinds["macro"].append(span)
        if rng.random() < 0.15:
            length = rng.uniform(0.9, 4.0)
            start = rng.uniform(0.0, seconds - length)
            if self._clear(start, start + length, 0.3):
                parts, shake = talk.laughing(rng, times, (start, start + length))
                for name, curve in parts.items():
                    self._add(name, curve)
                self.head_shake += shake
                self.kinds["macro"].append((start, start + length))

    def _lids(self) -> None:
        rng, seconds, strong, times = self.rng, self.how.seconds, self.how.distractors, self.taken
        gap = lid_gap(self.anatomy.shape)
        rate = rng.uniform(5.0, 28.0) * strong
        starts = list(rng.uniform(0.0, seconds, rng.poisson(rate * seconds / 60)))
        with_event = rng.uniform(0.0, 0.3)
        starts += [
            rng.uniform(e.onset - 0.25, e.offset) for e in self.micro if rng.random() < with_event
        ]
        # how far an estimator follows: a blink often shows in part
        shown = rng.uniform(0.35, 1.0)
        last = -1.0
        for start in sorted(starts):
            if start < last + 0.3:
                continue
            closing, shut, opening = (
                rng.uniform(0.05, 0.13), rng.uniform(0.0, 0.06), rng.uniform(0.09, 0.30),
            )  # fmt: skip
            since = times - start
            up = np.clip(since / closing, 0.0, 1.0)
            down = np.clip((closing + shut + opening - since) / opening, 0.0, 1.0)
            power = rng.uniform(0.8, 1.6)
            value = (0.5 - 0.5 * np.cos(np.pi * up)) * (0.5 - 0.5 * np.cos(np.pi * down)) ** power
            depth = rng.uniform(0.3, 0.8) if rng.random() < 0.15 else rng.uniform(0.85, 1.0)
            value = shown * depth * value
            uneven = 1.0 + rng.normal(0.0, 0.03)
            self._add("LIDS", value, (uneven, 2.0 - uneven))
            self.closure += gap * value
            last = start + closing + shut + opening
            self.kinds["blink"].append((start, last))
        size = np.exp(rng.uniform(np.log(0.004), np.log(0.022)))
        level = np.zeros(len(times))
        before = 0.0
        for start in np.sort(
            rng.uniform(0.0, seconds, rng.poisson(rng.uniform(5, 40) * seconds / 60))
        ):
            target = 0.0 if rng.random() < 0.3 else rng.normal(0.0, size)
            level += (target - before) * np.clip(
                (times - start) / rng.uniform(0.02, 0.08), 0.0, 1.0
            )
            before = target
        follow = np.zeros((68, 3))
        follow[[37, 38, 43, 44], 1] = 1.0
        follow[[40, 41, 46, 47], 1] = rng.uniform(0.1, 0.6)
        follow[17:27, 1] = rng.uniform(0.0, 0.12)
        self.face += level[:, None, None] * follow

    def _idle(self) -> None:
        rng, times = self.rng, self.taken
        size = np.exp(rng.uniform(np.log(0.0002), np.log(0.002)))
        for name in self.rows:
            if name in ("LIDS", "AU26") or rng.random() < 0.3:
                continue
            curve = size * waves(rng, times, 0.02, 0.7, 0.75)
            self._add(name, curve, (1.0, float(rng.normal(1.0, 0.3))))
        drift = np.exp(rng.uniform(np.log(0.0005), np.log(0.005)))
        for name in rng.choice(sorted(self.rows), 4):
            if name not in ("LIDS", "AU26"):
                self._add(str(name), drift * waves(rng, times, 0.005, 0.05, 0.5))
