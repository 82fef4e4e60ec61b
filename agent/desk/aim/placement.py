"""How good a camera's place is, by the faces that it sees there.

Five parts, each from 0 to 100, of the last half minute; the score is that of the weakest, since a
good light does not make up for a face that is too small. A part is None, and does not count, while
it cannot be told: without a face nobody knows whether faces are large enough.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import NamedTuple

from agent.base.config import AgentConfig
from agent.base.types import Face, Perceived
from agent.vision.exposure import Exposure, State
from agent.vision.faces.landmarks import interocular

SPAN = 30.0
"""Seconds that the score looks back."""
FIT = 60
"""Score from which a place counts as good."""
_ROOM = 1.25
"""Times the smallest size at which all is read: a face of this size may step back a little."""
_STRAIGHT, _ASIDE = 15.0, 45.0
"""Degrees between a face and the camera: nothing is lost below the first; beyond the second the
farther half of the face is out of sight."""
_LEANING = 8.0
"""Degrees from which the camera is told to move."""
_LIGHT: dict[State, int] = {"good": 100, "flat": 50, "dark": 30, "over": 20}
_SETTLES = 1.0
"""Seconds in view before a face can be analysable."""
_MOST = 20_000
"""Sights that are kept, whatever the frame rate and the number of faces."""


class Part(NamedTuple):
    """One part of the score."""

    name: str
    """size | light | angle | micro | rate"""
    score: int | None
    """In [0, 100]; None: cannot be told."""
    found: str
    """What was measured, with its unit."""
    advice: str = ""
    """What would raise it; empty where nothing need."""


@dataclass(frozen=True, slots=True)
class Placement:
    """The parts, and what they come to."""

    parts: tuple[Part, ...]
    faces: int
    """In the newest frame."""

    @property
    def score(self) -> int | None:
        """Of the weakest part; None while no face was seen."""
        known = [part.score for part in self.parts if part.score is not None]
        seen = any(part.name == "size" and part.score is not None for part in self.parts)
        return min(known) if seen else None

    @property
    def fit(self) -> bool:
        return self.score is not None and self.score >= FIT

    @property
    def advice(self) -> list[str]:
        """Weakest part first."""
        ranked = sorted(self.parts, key=lambda part: 101 if part.score is None else part.score)
        return [part.advice for part in ranked if part.advice]


class _Sight(NamedTuple):
    """One face in one frame."""

    time: float
    size: float
    """Inter-ocular distance, pixels."""
    yaw: float
    pitch: float
    old: bool
    """In view for `_SETTLES` seconds."""
    analysed: bool
    reason: str | None


class Judge:
    """Judges a place by what is seen from it, frame by frame; holds half a minute of sizes and
    angles and nothing else."""

    def __init__(self, config: AgentConfig, *, micro: bool) -> None:
        """`micro`: whether micro-expressions are looked for."""
        self._config, self._micro = config, micro
        self._sights: deque[_Sight] = deque(maxlen=_MOST)
        self._frames: deque[float] = deque(maxlen=_MOST)
        self._light: deque[tuple[float, State]] = deque(maxlen=_MOST)
        self._began: dict[int, float] = {}
        """By track id, of the tracks in view."""
        self._faces = 0

    def add(self, perceived: Perceived, exposed: Exposure | None = None) -> None:
        """Add one frame, and how it is exposed where that was measured."""
        time = perceived.time
        self._faces = len(perceived.faces)
        self._began = {
            face.track_id: self._began.get(face.track_id, time) for face in perceived.faces
        }
        self._frames.append(time)
        if exposed is not None:
            self._light.append((time, exposed.state))
        self._sights.extend(self._sight(face, time) for face in perceived.faces)
        for kept in (self._frames, self._light, self._sights):
            while kept and _time(kept[0]) < time - SPAN:
                kept.popleft()

    def placement(self) -> Placement:
        """The judgement so far."""
        parts = [self._size(), self._lit(), self._angle(), self._rate()]
        if self._micro:
            parts.insert(3, self._usable())
        return Placement(tuple(parts), self._faces)

    def _sight(self, face: Face, time: float) -> _Sight:
        return _Sight(
            time,
            interocular(face.landmarks.points),
            face.pose.yaw,
            face.pose.pitch,
            time - self._began[face.track_id] >= _SETTLES,
            face.micro.analysed,
            face.micro.reason,
        )

    def _size(self) -> Part:
        least = self._config.expression.min_face
        wanted = max(least, self._config.micro.min_face) if self._micro else least
        if not self._sights:
            return Part("size", None, "no face seen", "Stand where people will stand.")
        found = median(sight.size for sight in self._sights)
        text = f"{found:.0f} px between the outer corners of the eyes, {wanted:.0f} are needed"
        score = _share(found, 0.5 * least, _ROOM * wanted)
        return Part("size", score, text, _NEARER if found < _ROOM * wanted else "")

    def _lit(self) -> Part:
        if not self._light:
            return Part("light", None, "not measured yet")
        states = Counter(state for _, state in self._light)
        score = sum(_LIGHT[state] * n for state, n in states.items()) / len(self._light)
        worst = max(states, key=lambda state: (100 - _LIGHT[state]) * states[state])
        if score == 100:
            return Part("light", 100, "good")
        share = states[worst] / len(self._light)
        return Part("light", round(score), f"{_STATES[worst]} {share:.0%} of the time",
                    _BRIGHTEN[worst])  # fmt: skip

    def _angle(self) -> Part:
        if not self._sights:
            return Part("angle", None, "no face seen")
        yaw = median(sight.yaw for sight in self._sights)
        pitch = median(sight.pitch for sight in self._sights)
        away = median(math.hypot(sight.yaw, sight.pitch) for sight in self._sights)
        score = 100 - _share(away, _STRAIGHT, _ASIDE)
        found = f"{away:.0f} degrees from facing the camera"
        moves = []
        if abs(pitch) >= _LEANING:
            moves.append("lower" if pitch > 0 else "higher")
        if abs(yaw) >= _LEANING:
            moves.append(f"towards the {'right' if yaw > 0 else 'left'} edge of its own picture")
        advice = f"Move the camera {' and '.join(moves)}: people look past it there."
        return Part("angle", score, found, advice if score < 100 and moves else "")

    def _usable(self) -> Part:
        """Share of the faces that micro-expressions could be seen in."""
        settled = [sight for sight in self._sights if sight.old]
        if not settled:
            return Part("micro", None, "no face long enough in view")
        share = sum(sight.analysed for sight in settled) / len(settled)
        reasons = Counter(sight.reason for sight in settled if not sight.analysed and sight.reason)
        text = f"usable for micro-expressions {share:.0%} of the time"
        if not reasons:
            return Part("micro", round(100 * share), text)
        reason = reasons.most_common(1)[0][0]
        text += f"; else mostly {_REASONS.get(reason, reason)}"
        # the second a face needs after each loss is no fault of the place
        advice = _REMEDIES.get(reason, "") if share < 0.9 else ""
        return Part("micro", round(100 * share), text, advice)

    def _rate(self) -> Part:
        wanted = self._config.micro.min_fps if self._micro else 10.0
        span = self._frames[-1] - self._frames[0] if self._frames else 0.0
        if span < 1.0:
            return Part("rate", None, "not measured yet")
        fps = (len(self._frames) - 1) / span
        # cameras of 25 frames a second give 24.9
        score = _share(fps, 0.5 * wanted, 0.98 * wanted)
        return Part("rate", score, f"{fps:.0f} frames/s, {wanted:.0f} are needed",
                    _FASTER if score < 100 else "")  # fmt: skip


def _time(kept: float | Sequence[object]) -> float:
    return kept if isinstance(kept, float) else float(kept[0])  # type: ignore[arg-type]


def _share(value: float, low: float, high: float) -> int:
    """0 at `low`, 100 from `high` on."""
    return round(100 * min(max((value - low) / (high - low), 0.0), 1.0))


def rows(placement: Placement) -> Iterable[dict[str, object]]:
    """The parts for programs."""
    for part in placement.parts:
        yield part._asdict()


_NEARER = (
    "Bring the camera nearer to where people stand, take a narrower lens, or raise source.width "
    "and source.height."
)
_FASTER = (
    "Add light (long exposures slow a camera), choose a size that `v4l2-ctl --list-formats-ext` "
    "lists with this rate, or raise source.fps."
)
_STATES: dict[State, str] = {
    "good": "good", "dark": "too dark", "over": "overexposed", "flat": "little contrast",
}  # fmt: skip
_BRIGHTEN: dict[State, str] = {
    "good": "",
    "dark": "Add light from the camera's side, or let it expose longer.",
    "over": "Turn the camera away from windows and lamps, or shorten its exposure.",
    "flat": "Clean the lens, and look for fog, glare, or a picture out of focus.",
}
_REASONS = {
    "fps_too_low": "too slow",
    "face_too_small": "too small",
    "too_noisy": "too noisy or restless",
    "no_evidence": "not long enough in view",
}
_REMEDIES = {
    "fps_too_low": _FASTER,
    "face_too_small": _NEARER,
    "too_noisy": "Add light: a brighter picture has less noise. Set the focus.",
    "no_evidence": "Point the camera where people stay for a while.",
}
