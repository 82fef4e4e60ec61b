"""Whether a face's landmarks bear what is read from them: expression, gaze, micro-expressions.

A face upside down can be seen the wrong way up, brows for a mouth: then presence is high, and the
landmark network's own expected error is what tells. A head that lies on its side is found, but
expressions are validated on heads up to some way of that only.
"""

from __future__ import annotations

MOST_ROLL = 75.0
"""Degrees of tilt up to which expressions are read. Crops are turned upright by the landmarks: the
same face tilted by so much gives the same answer."""


def is_readable(clear: bool, roll: float) -> bool:
    """Whether expression and micro-expressions of a face may be read: its landmarks are sure
    (`LandmarkEstimate.is_sure`), and its `roll`, degrees, is within `MOST_ROLL`."""
    return clear and abs(roll) <= MOST_ROLL
