"""Speech that a microphone hears, and what it leaves of the movements that are seen.

A mouth that speaks makes movements as short and as small as micro-expressions, and moves what lies
around it along: skin, and the landmarks of brows and nose. While speech is heard only movements of
brows, lids and nose are reported; they have to follow one course there, go further than the mouth
does at the same moment, and stand out more the faster the head turns.
"""

from __future__ import annotations

import math
from collections import deque

import numpy as np

from agent.base.types import Float, MicroExpression
from agent.vision.micro.channels import FACE_CHANNELS, REGIONS

ACTIVE = 0.5
"""Probability from which there is speech."""
MARGIN = 0.2
"""Seconds before a movement and after it in which speech hides it as well."""
DELAY = 0.2
"""Seconds by which sound may arrive later than the picture."""
FLOOR = 1.0
"""How far below the threshold's logit a score may be to be weighed at all."""
LEAST_EVIDENCE = -0.9
"""Of `Course.evidence`, chosen with its weights on tracks and clips of training."""
_MATCH, _TURN = 0.8, 2.0
_REMEMBERED = 48
"""Steps."""
_AROUND = 0.17
"""Seconds before and after a movement that show what it stands out from."""
_LONGEST = 4.0
"""Seconds that are remembered: a movement, its report's delay and a gap."""
_BROWS = slice(int(REGIONS[0]), int(REGIONS[1]))
_UPPER = slice(int(REGIONS[0]), int(REGIONS[2]))
_MOUTH = slice(int(REGIONS[3]), int(REGIONS[4]))
_COMPRESSION = 4.0
"""Of the network's inputs (`agent.kernels.normalise`)."""
_FAINT = 0.1
"""Squared noise at rest, added to both sides of a ratio."""


class Heard:
    """When there was speech lately. One for all faces: nobody knows which of them speaks."""

    __slots__ = ("_times", "known")

    def __init__(self) -> None:
        self._times: deque[float] = deque()
        self.known = False
        """Whether somebody listens: False without a microphone."""

    def add(self, time: float, probability: float | None) -> None:
        """The probability of speech in about the last 0.3 s before `time`; None: not known."""
        while self._times and not time - _LONGEST <= self._times[0] <= time:
            self._times.popleft()
        self.known = probability is not None and math.isfinite(probability)
        if probability is not None and probability >= ACTIVE:
            self._times.append(time)

    def during(self, onset: float, offset: float) -> bool:
        """Whether there was speech in these seconds or close to them, as far as is known yet."""
        return any(onset - MARGIN <= time <= offset + MARGIN + DELAY for time in self._times)


class Course:
    """A face's channels of the last one and a half seconds, while somebody listens."""

    __slots__ = ("_channels", "_next", "_times")

    def __init__(self) -> None:
        self._times = np.full(_REMEMBERED, -math.inf)
        self._channels = np.zeros((_REMEMBERED, FACE_CHANNELS), np.float32)
        self._next = 0

    def add(self, time: float, inputs: Float) -> None:
        """One step: its mid-time, seconds, and the network's inputs float32[38]."""
        self._times[self._next] = time
        self._channels[self._next] = inputs[:FACE_CHANNELS]
        self._next = (self._next + 1) % _REMEMBERED

    def evidence(self, event: MicroExpression, margin: float, turn: float) -> float:
        """What speaks for a movement of brows or lids, logits; -inf where the mouth moves more.

        Parameters
        ----------
        event : MicroExpression
        margin : float
            Logit of its score less that of the threshold.
        turn : float
            Radians per second, root mean square over the movement.

        Notes
        -----
        A matched filter: a raised cosine from onset over apex to offset is fitted to every channel
        beside a straight line. `_MATCH` weighs the log of explained over unexplained in the brows,
        `_TURN` the turn.
        """
        near = (self._times >= event.onset - _AROUND) & (self._times <= event.offset + _AROUND)
        times = self._times[near]
        if len(times) < 6:
            return -math.inf
        # back from the compressed scale: multiples of the noise at rest
        scaled = self._channels[near].astype(np.float64) / _COMPRESSION
        channels = _COMPRESSION * np.sinh(np.clip(scaled, -3.0, 3.0))
        rise = (times - event.onset) / max(event.apex - event.onset, 1e-3)
        fall = (event.offset - times) / max(event.offset - event.apex, 1e-3)
        course = 0.5 - 0.5 * np.cos(np.pi * np.clip(np.minimum(rise, fall), 0.0, 1.0))
        line, _ = np.linalg.qr(np.stack([np.ones(len(times)), times - times.mean()], 1))
        course -= line @ (line.T @ course)
        channels -= line @ (line.T @ channels)
        size = float(course @ course) + 1e-9
        strength = course @ channels / size
        left = channels - np.outer(course, strength)
        upper, mouth = (float((strength[part] ** 2).mean()) for part in (_UPPER, _MOUTH))
        if upper <= mouth:
            return -math.inf
        explained = size * float((strength[_BROWS] ** 2).sum()) + _FAINT
        unexplained = float((left[:, _BROWS] ** 2).sum()) + _FAINT
        return margin + _MATCH * math.log(explained / unexplained) - _TURN * turn
