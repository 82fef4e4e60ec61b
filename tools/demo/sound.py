"""The clip's sound track: what is said, in a small room with a faint hum of air."""

from __future__ import annotations

import numpy as np

from agent.base.types import Float
from tools.demo.voice import RATE

_FLOOR = -62.0
"""dB below full scale: noise of the room."""
_DECAY = 0.18
"""Seconds until an echo is 60 dB down."""
_DIRECT = 6.0
"""Energy of the direct sound against all echoes: near the microphone."""


def in_room(dry: Float, seed: int) -> Float:
    """float32[S]: with the echoes of a room (noise that decays, Moorer 1979) and its noise."""
    rng = np.random.default_rng(seed)
    length = round(_DECAY * RATE)
    time = np.arange(length) / RATE
    tail = rng.standard_normal(length) * 10 ** (-3 * time / _DECAY) * (time > 0.003)
    tail *= 1 / np.sqrt(_DIRECT * np.sum(tail**2))
    tail[0] = 1.0
    points = 1 << int(np.ceil(np.log2(len(dry) + length)))
    wet = np.fft.irfft(np.fft.rfft(dry, points) * np.fft.rfft(tail, points))[: len(dry)]
    spectrum = np.fft.rfft(rng.standard_normal(len(dry)))
    spectrum /= np.sqrt(np.maximum(np.fft.rfftfreq(len(dry), 1 / RATE), 60.0))
    air = np.fft.irfft(spectrum, len(dry))
    return np.asarray(wet + air * (10 ** (_FLOOR / 20) / air.std()), np.float32)
