"""Three seconds of log-mel spectrum as a picture, for a convolutional network."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from agent.base.types import SOUND_RATE as RATE
from agent.base.types import Float, Grey
from agent.voice.frames import DECIBELS, Frames
from agent.voice.sound import HOP

SECONDS = 3.0
ROWS = round(SECONDS * RATE / HOP)
_BELOW, _RANGE = 60.0, 80.0
"""dB below the speaker's level that is black, and from there to white."""


def speech_level(frames: Frames, spoken: NDArray[np.bool_]) -> float:
    """Level of speech in dB: mean over frames of the loudest band's power; `spoken` bool[N]."""
    if not spoken.any():
        return 0.0
    return float(DECIBELS * frames.bands[spoken].max(1).mean())


def picture(bands: Float, level: float) -> Grey:
    """uint8[ROWS, M]: time downwards, the latest rows of log power `bands` float32[N, M] relative
    to `level`, dB; black above where there are fewer."""
    rows = bands[-ROWS:]
    shade = (DECIBELS * rows - np.float32(level - _BELOW)) * np.float32(255.0 / _RANGE)
    out = np.zeros((ROWS, bands.shape[1]), np.uint8)
    out[ROWS - len(rows) :] = np.clip(np.rint(shade), 0, 255).astype(np.uint8)
    return out
