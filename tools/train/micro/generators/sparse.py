"""A second hand's generator: few landmarks per unit, strengths instead of displacements, an affine
head; built apart from `tools.micro`, with which it shares the published statistics alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agent.vision.faces.align import FLIP
from agent.vision.faces.shape3d import MEAN_SHAPE_3D
from tools.micro.movements import Event
from tools.train.micro.samples import Material

Array = NDArray[np.float64]

_MIDDLE = np.flatnonzero(np.arange(68) == FLIP)
_HALVES: dict[str, dict[int, tuple[float, float]]] = {
    "AU01": {21: (0, -1), 20: (0, -0.75), 19: (0, -0.3)},
    "AU02": {17: (0, -0.9), 18: (0, -1), 19: (0, -0.7), 20: (0, -0.25)},
    "AU04": {21: (0.45, 0.9), 20: (0.35, 0.75), 19: (0.2, 0.45), 18: (0.1, 0.2)},
    "AU05": {37: (0, -1), 38: (0, -1)},
    "AU06": {41: (0, -0.8), 40: (0, -0.6), 36: (0.1, -0.15), 48: (-0.1, -0.25)},
    "AU07": {40: (0, -1), 41: (0, -1), 37: (0, 0.45), 38: (0, 0.45)},
    "AU09": {
        31: (0, -1), 32: (0, -0.6), 21: (0.1, 0.45), 27: (0, 0.2), 50: (0, -0.35), 39: (0, -0.1),
    },
    "AU10": {
        50: (0, -1), 49: (0, -0.6), 51: (0, -0.75), 61: (0, -0.7), 62: (0, -0.6), 31: (0, -0.25),
    },
    "AU12": {
        48: (-0.65, -0.76), 60: (-0.6, -0.65), 49: (-0.3, -0.35), 59: (-0.3, -0.3),
        58: (-0.1, -0.1),
    },
    "AU14": {48: (-1, -0.08), 60: (-0.85, -0.05), 49: (-0.3, 0), 59: (-0.3, 0)},
    "AU15": {48: (-0.12, 1), 60: (-0.1, 0.85), 59: (0, 0.45), 49: (0, 0.25)},
    "AU17": {
        57: (0, -0.7), 58: (0, -0.6), 59: (0, -0.25), 8: (0, -1), 7: (0, -0.85), 6: (0, -0.4),
        66: (0, -0.5), 67: (0, -0.4),
    },
    "AU20": {48: (-1, 0.15), 60: (-0.9, 0.15), 59: (-0.4, 0.2), 49: (-0.35, 0.05)},
    "AU24": {
        50: (0, 0.6), 51: (0, 0.6), 61: (0, 0.3), 62: (0, 0.3), 58: (0, -0.6), 57: (0, -0.6),
        67: (0, -0.3), 66: (0, -0.3), 49: (0, 0.3), 59: (0, -0.3),
    },
    "AU26": {
        8: (0, 1), 7: (0, 0.95), 6: (0, 0.8), 5: (0, 0.5), 57: (0, 0.95), 58: (0, 0.85),
        59: (0, 0.4), 66: (0, 0.95), 67: (0, 0.85), 48: (0.05, 0.2),
    },
    "LIDS": {37: (0, 1), 38: (0, 1), 40: (0, -0.12), 41: (0, -0.12)},
}  # fmt: skip
"""Image-left halves, (right, down), largest about 1; the author's estimates."""
_SMALL = {"AU05": 0.55, "AU07": 0.55, "AU06": 0.55, "AU09": 0.6, "AU24": 0.5}
_SETS: tuple[tuple[tuple[str, ...], float], ...] = (
    (("AU04",), 0.22), (("AU04", "AU07"), 0.12), (("AU12",), 0.12), (("AU06", "AU12"), 0.05),
    (("AU14",), 0.10), (("AU07",), 0.07), (("AU01", "AU02"), 0.09),
    (("AU01", "AU02", "AU05"), 0.04), (("AU02",), 0.04), (("AU01",), 0.03), (("AU05",), 0.02),
    (("AU09",), 0.02), (("AU10",), 0.02), (("AU15",), 0.02), (("AU17",), 0.02), (("AU20",), 0.01),
    (("AU24",), 0.01),
)  # fmt: skip
_WEIGHTS = np.array([weight for _, weight in _SETS]) / sum(weight for _, weight in _SETS)
_DISTANCE = 8.0


@dataclass(frozen=True, slots=True)
class Course:
    """One way of making a minute."""

    fps: float
    noise: float
    """Standard deviation per coordinate, IOD."""
    events: int
    distractors: float
    """1: as in life."""
    drop: float
    seconds: float = 60.0


def course(rng: np.random.Generator) -> Course:
    """A random one."""
    return Course(
        fps=float(rng.choice([30, 30, 30, 60, 60, 25, 50])),
        noise=float(np.exp(rng.uniform(np.log(0.0006), np.log(0.006)))),
        events=int(rng.choice([6, 8, 10])),
        distractors=float(rng.uniform(0.5, 1.4)),
        drop=float(rng.choice([0.0, 0.02, 0.05])),
    )


def make(rng: np.random.Generator, how: Course) -> Material:
    """One face for a minute."""
    return _Minute(rng, how).material()


class _Minute:
    """A minute in the making: displacements are added up movement by movement."""

    def __init__(self, rng: np.random.Generator, how: Course) -> None:
        self.rng = rng
        self.how = how
        count = int(how.seconds * how.fps)
        self.times = np.maximum.accumulate(
            np.arange(count) / how.fps + rng.normal(0, 0.04 / how.fps, count)
        )
        self.person = _person(rng)
        self.fields = {name: _personal(rng, half) for name, half in _HALVES.items()}
        self.face = np.zeros((count, 68, 2))
        self.crosstalk = rng.uniform(0.02, 0.08) * rng.choice([-1, 1], p=[0.35, 0.65])
        self.kinds: dict[str, list[tuple[float, float]]] = {
            name: [] for name in ("macro", "blink", "speech", "head_motion", "tracking_jump")
        }
        self.micro: list[Event] = []

    def material(self) -> Material:
        self._micro()
        self._blinks()
        busy = [(event.onset - 0.6, event.offset + 0.6) for event in self.micro]
        self._macro(busy)
        self._speech(busy)
        points = self._seen()
        self._faults(points)
        points += self.how.noise * self._noise()
        keep: NDArray[np.bool_] = self.rng.random(len(self.times)) >= self.how.drop
        for _ in range(self.rng.poisson(self.how.seconds / 40)):
            first = self.rng.integers(0, len(keep))
            keep[first : first + int(self.rng.uniform(0.05, 0.3) * self.how.fps)] = False
        confidence = np.clip(0.97 + self.rng.normal(0, 0.01, len(self.times)), 0, 1)
        pixels = self.rng.uniform(60, 180)
        return Material(
            timestamps=self.times[keep],
            landmarks=np.asarray(points[keep] * pixels + 320, np.float32),
            confidence=np.asarray(confidence[keep], np.float32),
            micro=self.micro,
            kinds=self.kinds,
        )

    def _add(self, units: tuple[str, ...], curve: Array, side: str, small: bool) -> None:
        for unit in units:
            left, right = self.fields[unit]
            field = left * (side != "right") + right * (side != "left")
            share = _SMALL.get(unit, 1.0) if small else 1.0
            self.face += (share * curve)[:, None, None] * field

    def _micro(self) -> None:
        rng = self.rng
        for _ in range(2000):
            if len(self.micro) == self.how.events:
                break
            length = float(np.clip(rng.normal(0.373, 0.1), 0.13, 0.6))
            onset = float(rng.uniform(2, self.how.seconds - 2.5))
            if any(onset < e.offset + 0.9 and onset + length + 0.9 > e.onset for e in self.micro):
                continue
            apex = onset + length * float(np.clip(rng.normal(0.516, 0.15), 0.2, 0.8))
            units = _SETS[rng.choice(len(_SETS), p=_WEIGHTS)][0]
            side = str(rng.choice(["both", "left", "right"], p=[0.85, 0.075, 0.075]))
            amplitude = float(np.exp(rng.uniform(np.log(0.01), np.log(0.05))))
            self.micro.append(Event(onset, apex, onset + length, amplitude, units, side))
        self.micro.sort(key=lambda event: event.onset)
        for event in self.micro:
            curve = _bump(self.times, event.onset, event.apex, event.offset)
            self._add(event.units, event.amplitude * curve, event.side, small=True)

    def _blinks(self) -> None:
        rng, strong = self.rng, self.how.distractors
        lids = np.zeros(len(self.times))
        at = rng.exponential(4.0)
        while at < self.how.seconds - 1:
            length = float(np.clip(rng.normal(0.26, 0.06), 0.15, 0.45))
            self.kinds["blink"].append((at, at + length))
            lids += rng.uniform(0.07, 0.13) * _bump(self.times, at, at + 0.35 * length, at + length)
            at += length + max(0.4, rng.exponential(3.6 / max(strong, 0.2)))
        for event in self.micro:
            if rng.random() < 0.15 * strong:
                at = event.onset + rng.uniform(-0.1, 0.2)
                self.kinds["blink"].append((at, at + 0.26))
                lids += 0.1 * _bump(self.times, at, at + 0.09, at + 0.26)
        closed = lids.copy()
        for _ in range(rng.poisson(self.how.seconds / 3)):  # the lids follow the eyes
            start = rng.uniform(0, self.how.seconds)
            lids += strong * rng.normal(0, 0.012) * np.clip((self.times - start) / 0.06, 0, 1)
        self._add(("LIDS",), lids - np.median(lids), "both", small=False)
        self.face[:, 17:27, 1] += strong * self.crosstalk * closed[:, None]

    def _macro(self, busy: list[tuple[float, float]]) -> None:
        rng, times = self.rng, self.times
        for _ in range(rng.poisson(4 * self.how.seconds / 60 * self.how.distractors)):
            length = rng.uniform(0.6, 4)
            onset = rng.uniform(0.5, self.how.seconds - length - 0.5)
            end = onset + length
            if not _free(busy, onset, end):
                continue
            busy.append((onset - 0.3, end + 0.3))
            units = _SETS[rng.choice(len(_SETS), p=_WEIGHTS)][0]
            rise = min(rng.uniform(0.2, 0.6), 0.4 * length)
            fall = min(rng.uniform(0.25, 0.9), 0.5 * length)
            up = 0.5 - 0.5 * np.cos(np.pi * np.clip((times - onset) / rise, 0, 1))
            down = 0.5 - 0.5 * np.cos(np.pi * np.clip((end - times) / fall, 0, 1))
            self._add(units, rng.uniform(0.04, 0.14) * np.minimum(up, down), "both", small=True)
            self.kinds["macro"].append((onset, end))

    def _speech(self, busy: list[tuple[float, float]]) -> None:
        rng, times = self.rng, self.times
        wanted = 0.25 * self.how.seconds * self.how.distractors
        for _ in range(60):
            if wanted <= 0:
                break
            length = rng.uniform(1.5, 6)
            onset = rng.uniform(0.5, self.how.seconds - length - 0.5)
            end = onset + length
            # Half of it may lie over micro-expressions: people talk through them.
            if rng.random() < 0.5 and not _free(busy, onset, end):
                continue
            busy.append((onset - 0.2, end + 0.2))
            wanted -= length
            self.kinds["speech"].append((onset, end))
            jaw, corners, lip = np.zeros((3, len(times)))
            at = onset
            while at < end:
                step = rng.uniform(0.12, 0.32)
                jaw += rng.uniform(0.01, 0.09) * _bump(times, at, at + 0.45 * step, at + step)
                corners += rng.normal(0, 0.02) * _bump(times, at, at + 0.5 * step, at + step)
                lip += rng.uniform(0, 0.03) * _bump(times, at, at + 0.5 * step, at + step)
                at += step * rng.uniform(0.7, 1.3)
            fade = np.clip((times - onset) / 0.15, 0, 1) * np.clip((end - times) / 0.15, 0, 1)
            for unit, curve in (("AU26", jaw), ("AU14", corners), ("AU10", lip)):
                self._add((unit,), curve * fade, "both", small=False)

    def _seen(self) -> Array:
        """Landmarks float64[T, 68, 2] in a picture where the IOD is about 1."""
        rng, strong, times = self.rng, self.how.distractors, self.times
        yaw, pitch, roll = (
            np.radians(_waves(rng, times, pace, strong * size) + rng.normal(0, rest))
            for pace, size, rest in ((4, 7, 6), (4, 4, 4), (5, 3, 3))
        )
        for _ in range(rng.poisson(self.how.seconds / 30 * strong)):
            start, length = rng.uniform(0, self.how.seconds), rng.uniform(0.5, 1.2)
            end = start + length
            fade = np.clip((times - start) / 0.15, 0, 1) * np.clip((end - times) / 0.15, 0, 1)
            wave = np.sin(2 * np.pi * rng.uniform(1.2, 2.5) * (times - start))
            pitch = pitch + np.radians(rng.uniform(3, 9)) * wave * fade
            self.kinds["head_motion"].append((start, end))
        across, down = _waves(rng, times, 4, 0.25 * strong), _waves(rng, times, 4, 0.15 * strong)
        away = _DISTANCE * np.exp(_waves(rng, times, 8, 0.05 * strong))
        x = self.person[:, 0] + self.face[..., 0]
        y = self.person[:, 1] + self.face[..., 1]
        z = np.broadcast_to(self.person[:, 2], x.shape)
        x, z = _turn(x, z, yaw)
        z, y = _turn(z, y, pitch)
        y, x = _turn(y, x, roll)
        depth = z + away[:, None]
        return np.asarray(
            np.stack([x + across[:, None], y + down[:, None]], 2) * _DISTANCE / depth[..., None]
        )

    def _faults(self, points: Array) -> None:
        rng, times, seconds = self.rng, self.times, self.how.seconds
        strong = self.how.distractors
        for _ in range(rng.poisson(seconds / 30 * strong)):  # the light changes
            share = np.clip((times - rng.uniform(0, seconds)) / 0.05, 0, 1)
            points += share[:, None, None] * rng.normal(0, 0.002, (68, 2))
        for _ in range(rng.poisson(seconds / 45 * strong)):  # the tracker begins anew
            start = rng.uniform(0, seconds)
            left = np.where(times >= start, np.exp(-np.clip(times - start, 0, 50) / 3.0), 0.0)
            jump = rng.normal(0, 0.008, 2) + rng.normal(0, 0.004, (68, 2))
            points += left[:, None, None] * jump
            self.kinds["tracking_jump"].append((start - 0.03, start + 0.1))
        for _ in range(rng.poisson(seconds / 20 * strong)):  # one wrong frame
            frame = rng.integers(0, len(times))
            points[frame] += rng.normal(0, 0.02, (68, 2))
            self.kinds["tracking_jump"].append((times[frame] - 0.03, times[frame] + 0.1))

    def _noise(self) -> Array:
        count, rng = len(self.times), self.rng
        flat = self.person[:, :2]
        apart = ((flat[:, None] - flat[None]) ** 2).sum(2)
        root = np.linalg.cholesky(np.exp(-apart / (2 * 0.2**2)) + 1e-4 * np.eye(68))
        root /= np.linalg.norm(root, axis=1, keepdims=True)
        noise = np.sqrt(0.55) * rng.normal(size=(count, 68, 2))
        noise += np.sqrt(0.25) * np.tensordot(
            rng.normal(size=(count, 68, 2)), root, (1, 1)
        ).transpose(0, 2, 1)
        keep = np.exp(-1 / (self.how.fps * 0.25))
        slow = rng.normal(size=(count, 68, 2))
        slow[1:] *= np.sqrt(1 - keep**2)
        for k in range(1, count):
            slow[k] += keep * slow[k - 1]
        return np.asarray(noise + np.sqrt(0.20) * slow)


def _person(rng: np.random.Generator) -> Array:
    shape = np.asarray(MEAN_SHAPE_3D, np.float64)
    shape = shape * np.array([1, 1 + rng.normal(0, 0.07), 1 + rng.normal(0, 0.1)])
    for _ in range(5):
        near = np.exp(-((shape - shape[rng.integers(0, 68)]) ** 2).sum(1) / (2 * 0.25**2))
        shape = shape + near[:, None] * rng.normal(0, 0.025, 3)
    return np.asarray(shape)


def _personal(
    rng: np.random.Generator, half: dict[int, tuple[float, float]]
) -> tuple[Array, Array]:
    """One unit's field on this face, image-left and image-right part, float64[68, 2] each."""
    left = np.zeros((68, 2))
    for point, move in half.items():
        left[point] = move
    left[_MIDDLE] *= 0.5
    right = np.zeros((68, 2))
    right[FLIP] = left * np.array([-1, 1])
    parts = []
    for part in (left, right):
        angle = rng.normal(0, np.radians(12))
        cos, sin = np.cos(angle), np.sin(angle)
        own = 1 + rng.normal(0, 0.125, (68, 1))
        parts.append(part @ np.array([[cos, sin], [-sin, cos]]) * (1 + rng.normal(0, 0.15)) * own)
    return parts[0], parts[1]


def _bump(times: Array, onset: float, apex: float, offset: float) -> Array:
    """Raised cosine: 0 outside, 1 at the apex."""
    up, down = (times - onset) / (apex - onset), (offset - times) / (offset - apex)
    return np.asarray(0.5 - 0.5 * np.cos(np.pi * np.clip(np.minimum(up, down), 0, 1)))


def _waves(rng: np.random.Generator, times: Array, pace: float, size: float) -> Array:
    """Smooth and random, standard deviation about `size`, periods about `pace` seconds."""
    frequency = np.exp(rng.normal(np.log(1 / pace), 0.7, (12, 1)))
    phase, weight = rng.uniform(0, 2 * np.pi, (12, 1)), rng.normal(0, 1, (12, 1))
    waves = (weight * np.sin(2 * np.pi * frequency * times + phase)).sum(0)
    return np.asarray(size * waves / np.sqrt(6))


def _turn(a: Array, b: Array, angle: Array) -> tuple[Array, Array]:
    cos, sin = np.cos(angle)[:, None], np.sin(angle)[:, None]
    return cos * a + sin * b, cos * b - sin * a


def _free(busy: list[tuple[float, float]], start: float, end: float) -> bool:
    return all(end < first or start > last for first, last in busy)
