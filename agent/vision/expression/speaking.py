"""Expression of a face beside which speech is heard: the mouth's weight is lowered.

Sounds shape the mouth like smiles, surprise and anger do, for a fifth of a second each; what a face
shows lasts longer and is in brows and eyes as well. So during speech the probabilities are averaged
over about a second, beginning with what was read before the first word, and neutral, which a mouth
at work is taken for least, gains what speech costs it.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from agent.base.types import EXPRESSIONS, Expression, Float

ACTIVE = 0.5
"""Probability from which there is speech."""
SPAN = 1.0
"""Seconds: time constant of the average."""
HOLD = 0.5
"""Seconds after speech for which the average still holds: words have pauses between them."""
NEUTRAL_ODDS = 1.65
"""Factor of neutral's odds during speech, chosen with `SPAN` on talking photographs of training."""
_NEUTRAL = EXPRESSIONS.index("neutral")
Judge = Callable[[Float, Float], Expression]
"""Probabilities float32[8] and action units float32[12] to what they say."""


class SpeechFilter:
    """One face's expression over time, steadied while speech is heard.

    A first-order recursive average, whose first second is a plain mean. Whose speech it is, nobody
    knows where several faces are in view: it steadies all of them.
    """

    __slots__ = ("_count", "_judge", "_mean", "_spoken", "_time")

    def __init__(self, judge: Judge) -> None:
        self._judge = judge
        self._mean = np.zeros(len(EXPRESSIONS), np.float64)
        self._count = 0
        self._time = 0.0
        self._spoken = -math.inf
        """When there was speech last, seconds."""

    def __call__(self, read: Expression, time: float, speech: float | None) -> Expression:
        """What a face shows at `time`, seconds; `speech`: as `agent.vision.pipeline.Pipeline` takes
        it. Without speech, or where
        nobody listens, `read` itself."""
        if speech is None or not math.isfinite(speech):
            self._count, self._spoken = 0, -math.inf
            return read
        self._count += 1
        since = max(time - self._time, 0.0)
        share = max(1.0 - math.exp(-since / SPAN), 1.0 / self._count)
        self._mean += share * (read.probabilities - self._mean)
        self._time = time
        if speech >= ACTIVE:
            self._spoken = time
        if time - self._spoken > HOLD:
            return read
        probabilities = self._mean.copy()
        probabilities[_NEUTRAL] *= NEUTRAL_ODDS
        probabilities /= probabilities.sum()
        return self._judge(probabilities.astype(np.float32), read.action_units)
