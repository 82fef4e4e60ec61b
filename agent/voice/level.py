"""How loud the room is, and what is wrong with what the microphone delivers."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

import numpy as np

from agent.base.types import SOUND_RATE as RATE
from agent.base.types import Float

_CLIPPED = 0.985
"""Of full scale: from here on a sample counts as clipped."""
_CLIPPED_SHARE = 0.001
"""Of the samples of a block; speech that only touches full scale stays below."""
_DEAD = 2e-5
"""Largest step between samples of a block from a microphone that hears nothing: less than one of 16
bits. The noise of any real microphone is above."""
_RISE, _FALL = 0.02, 0.5
"""Share of the way that the noise floor goes in a second towards a louder and a quieter block."""
FLOOR, CEILING = -100.0, 0.0
"""dB below full scale."""


class Fault(StrEnum):
    """Why a block of sound is not what it should be."""

    NOT_A_NUMBER = "not a number"
    CLIPPED = "clipped"
    SILENT = "silent"


class Level:
    """Follows the noise floor block by block."""

    def __init__(self) -> None:
        self.floor: float | None = None
        """dB below full scale, of the quiet moments; None before the first block."""
        self.latest = FLOOR
        """dB below full scale of the latest block, root mean square."""
        self.faults: set[Fault] = set()
        """Of the latest block."""

    def __call__(self, samples: Float) -> Float:
        """Note a block float32[S]; what of it may be used: finite and within +-1."""
        self.faults.clear()
        if not np.isfinite(samples).all():
            self.faults.add(Fault.NOT_A_NUMBER)
            samples = np.nan_to_num(samples, nan=0.0, posinf=1.0, neginf=-1.0)
        if not len(samples):
            return samples
        if np.mean(np.abs(samples) >= _CLIPPED) > _CLIPPED_SHARE:
            self.faults.add(Fault.CLIPPED)
        samples = np.clip(samples, -1.0, 1.0)
        if float(np.ptp(samples)) <= _DEAD:
            self.faults.add(Fault.SILENT)
        self.latest = decibels(samples)
        if Fault.SILENT not in self.faults:
            self._follow(len(samples) / RATE)
        return samples

    def _follow(self, seconds: float) -> None:
        if self.floor is None:
            self.floor = self.latest
            return
        rate = _RISE if self.latest > self.floor else _FALL
        self.floor += (1.0 - (1.0 - rate) ** seconds) * (self.latest - self.floor)


def summed_up(levels: Sequence[float]) -> tuple[float, float]:
    """Mean level of blocks, by power, and the level that a tenth of them stays below: the noise
    between louder moments. dB below full scale, at least `FLOOR`."""
    known = np.array(levels or [FLOOR])
    mean = 10.0 * float(np.log10(np.mean(10.0 ** (known / 10.0))))
    return max(mean, FLOOR), max(float(np.percentile(known, 10)), FLOOR)


def decibels(samples: Float) -> float:
    """Root mean square of float32[S] in dB below full scale, at least `FLOOR`."""
    power = float(np.square(samples, dtype=np.float64).mean()) if len(samples) else 0.0
    return max(10.0 * float(np.log10(power + 1e-20)), FLOOR)
