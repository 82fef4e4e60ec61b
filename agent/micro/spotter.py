"""Spotting micro-expressions: one face's channels differenced in time, on-line and bounded.

A first spotter. It knows the size of a movement, its length and whether it returns; it tells blinks
and head motion apart, and repeated mouth movement (speech). On real faces published methods reach
F1 of .2 to .4: what it reports is an indication, never a finding about a person.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable

import numpy as np

from agent.config import MicroConfig
from agent.faces.align import MEAN_SHAPE
from agent.kernels.difference import measure_noise, observe
from agent.types import Float, MicroExpression

_RIGID = np.array([27, 28, 29, 30, 33, 36, 39, 42, 45], np.int64)
"""Points that expressions do not move: aligned on them, head motion drops out."""

_HALF = 0.27
"""Seconds to either side of an apex that a decision looks at."""
_HOLD = 0.30
"""Seconds a candidate waits for a stronger one."""
_MEMORY = 4.0
"""Seconds of channels kept per face."""
_RENEW = 30
"""Frames between two measurements of a face's noise."""
_LEAST = 0.008
"""Inter-ocular distances: no smaller movement is believed, however quiet the face (MICRO: published
methods act on 1.2 to 1.5 %)."""
_QUIETEST = 1.2e-3
"""Inter-ocular distances: no face's noise is taken for smaller."""
_BLINK = 0.04
_GAP = 0.25
"""Seconds unseen after which a face's past is worth nothing."""
_LONGEST = 0.5
_SHORTEST = 0.04
_LIDS = (10, 11)
_MOUTH = (4, 5, 6, 7, 8, 9)

_Seen = tuple[float, int, int, int, float, float, int, int]
"""As `agent.kernels.difference.observe` returns it."""


class _Face:
    """The recent past of one face."""

    __slots__ = (
        "busy",
        "count",
        "last",
        "newest",
        "noise",
        "noise_at",
        "pending",
        "refused",
        "times",
        "values",
    )

    def __init__(self, capacity: int) -> None:
        self.values = np.zeros((2 * capacity, 12), np.float32)
        self.times = np.zeros(2 * capacity)
        self.count = 0
        self.noise = np.full(12, np.inf, np.float32)
        self.noise_at = 0
        self.pending: MicroExpression | None = None
        self.newest = (-np.inf, 0.0)
        """Apex time and height of the newest movement reported or refused."""
        self.refused: str | None = None
        """As what it was refused."""
        self.last = -np.inf
        self.busy: list[float] = []
        """Apex times of recent mouth movements."""

    def make_room(self) -> None:
        """Forget the older half where there is no place for another frame."""
        if self.count == len(self.times):
            half = self.count // 2
            self.values[:half] = self.values[half:]
            self.times[:half] = self.times[half:]
            self.count = half
            self.noise_at -= half


class MicroSpotter:
    """Onset, apex and offset of rapid facial movement, face by face.

    Memory per face is bounded by `_MEMORY`; the cost is one small kernel per face and frame.
    """

    latency = _HALF + _HOLD
    """Seconds. At stream time t it has decided everything before t - latency."""

    def __init__(self, params: MicroConfig) -> None:
        self._params = params
        self._faces: dict[int, _Face] = {}
        self.refused: str | None = "no_evidence"
        """Why the newest frame could not be analysed; None when at least one face was."""
        self.rejected: Counter[str] = Counter()
        """Movements refused, by kind: blink, head_motion, macro, speech."""

    def update(self, time: float, faces: Iterable[tuple[int, Float]]) -> list[MicroExpression]:
        """Add one frame's faces; return the movements that were just decided.

        Parameters
        ----------
        time : float
            Seconds, the source's clock.
        faces : pairs of track id and float32[68, 2]
            Stabilised landmarks, frame pixels.
        """
        found: list[MicroExpression] = []
        reasons: list[str | None] = []
        for track_id, points in faces:
            face = self._faces.get(track_id)
            if face is None or time - face.last > _GAP:
                face = self._faces[track_id] = _Face(self._capacity())
            face.make_room()
            seen = observe(
                points,
                MEAN_SHAPE,
                _RIGID,
                face.values,
                face.times,
                face.count,
                time,
                _HALF,
                face.noise,
            )
            face.count += 1
            face.last = time
            reason = self._refusal(face, seen[0])
            reasons.append(reason)
            if reason is None and seen[1] >= 0:
                found += self._decide(track_id, face, seen)
        if len(self._faces) > len(reasons):
            for track_id in [k for k, face in self._faces.items() if time - face.last > 1.0]:
                del self._faces[track_id]
        self.refused = None if None in reasons else (reasons[0] if reasons else "no_evidence")
        return found

    def _capacity(self) -> int:
        return int(_MEMORY * 120)

    def _refusal(self, face: _Face, size: float) -> str | None:
        if size < self._params.min_face:
            return "face_too_small"
        span = min(face.count, 60)
        if span < 20:
            return "no_evidence"
        seconds = face.last - float(face.times[face.count - span])
        # Half a frame of tolerance: cameras name 25 and deliver 24.9.
        if (span - 1) / max(seconds, 1e-6) < self._params.min_fps - 0.5:
            return "fps_too_low"
        return None

    def _decide(self, track_id: int, face: _Face, seen: _Seen) -> list[MicroExpression]:
        _, middle, half, channel, height, score, start, end = seen
        if face.count - face.noise_at >= _RENEW:
            self._measure_noise(face, half)
        if score >= self._params.threshold and abs(height) >= _LEAST:
            event = self._judge(track_id, face, channel, height, (start, middle, end))
            if event and not _is_lobe(event, face.newest) and _is_stronger(event, face.pending):
                face.pending = event
        if face.pending and face.last - face.pending.apex > self.latency:
            done, face.pending = face.pending, None
            if not _is_lobe(done, face.newest):
                face.newest, face.refused = (done.apex, done.intensity), None
                return [done]
        return []

    def _measure_noise(self, face: _Face, half: int) -> None:
        """Over the memory; it counts from the next frame on."""
        face.noise_at = face.count
        first = int(np.searchsorted(face.times[: face.count], face.last - _MEMORY))
        measure_noise(face.values[first : face.count], half, _QUIETEST, face.noise)

    def _judge(
        self, track_id: int, face: _Face, channel: int, height: float, frames: tuple[int, int, int]
    ) -> MicroExpression | None:
        start, middle, end = frames
        apex = face.times.item(middle)
        length = face.times.item(end) - face.times.item(start)
        if start < 0 or end < 0 or length > _LONGEST:
            self._refuse(face, "macro", apex, height)
            return None
        half = face.count - 1 - middle
        before = face.values.item(middle - half, channel)
        after = face.values.item(middle + half, channel)
        earlier = face.values.item(max(0, middle - 2 * half), channel)
        still_rising = (before - earlier) * math.copysign(1.0, height) > 0.7 * abs(height)
        if abs(after - before) > 0.6 * abs(height) or still_rising:
            # It does not come back to where it was, or began earlier: part of something longer.
            self._refuse(face, "macro", apex, height)
            return None
        if length < _SHORTEST:
            return None
        lids = face.values[start : end + 1, list(_LIDS)].min(0)
        rest = np.median(face.values[max(0, start - 30) : start + 1, list(_LIDS)], axis=0)
        if float((rest - lids).max()) > _BLINK or channel in _LIDS:
            self._refuse(face, "blink", apex, height)
            return None
        # A nod or a turn moves brows, nose and lips together: many channels at once, same way.
        rise = face.values[middle] - (face.values[start] + face.values[end]) / 2
        if int((np.abs(rise[:8]) > 0.5 * abs(height)).sum()) >= 6:
            self._refuse(face, "head_motion", apex, height)
            return None
        if channel in _MOUTH:
            face.busy = [t for t in face.busy if apex - t < 2.0]
            if not face.busy or apex - face.busy[-1] > 0.25:
                face.busy.append(apex)
            if len(face.busy) > 2:
                self._refuse(face, "speech", apex, height)
                return None
        return MicroExpression(
            track_id=track_id,
            onset=float(face.times[start]),
            apex=apex,
            offset=float(face.times[end]),
            intensity=abs(float(height)),
            polarity=_polarity(channel, height),
        )

    def _refuse(self, face: _Face, kind: str, apex: float, height: float) -> None:
        """Count a movement that is none of ours, once, and remember it for its side lobes."""
        before, most = face.newest
        if apex - before > _HALF:
            self.rejected[kind] += 1
        elif abs(height) > most:
            # The same movement, seen better: it is what its highest point is.
            if face.refused:
                self.rejected[face.refused] -= 1
                self.rejected[kind] += 1
        else:
            return
        face.newest, face.refused = (apex, abs(height)), kind


def _is_stronger(event: MicroExpression, other: MicroExpression | None) -> bool:
    return other is None or event.intensity > other.intensity


def _is_lobe(event: MicroExpression, newest: tuple[float, float]) -> bool:
    """True for the swing to the other side that differencing shows beside a stronger movement."""
    apex, height = newest
    return abs(event.apex - apex) < 2 * _HALF and event.intensity < height


def _polarity(channel: int, height: float) -> str:
    """What the strongest channel suggests, after EMFACS: brows down negative, up surprise, lip
    corners up positive, down negative; the rest is left open."""
    if channel in (0, 1, 2, 3):
        return "surprise" if height > 0 else "negative"
    if channel in (4, 5):
        return "positive" if height > 0 else "negative"
    if channel in (8, 9) and height > 0:
        return "positive"
    return "unspecified"
