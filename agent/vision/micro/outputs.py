"""Outputs of the spotter's network: layout, encoding of training targets, decoding."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from agent.base.types import MICRO_ACTION_UNITS, Float
from agent.vision.micro.stream import STEP

KINDS = ("macro", "blink", "speech", "head_motion", "tracking_jump")
"""Kinds of movement other than micro-expressions."""
HEAT, CENTRE, DURATION, AMPLITUDE, APEX = range(5)
UNITS = slice(5, 5 + len(MICRO_ACTION_UNITS))
OTHERS = slice(UNITS.stop, UNITS.stop + len(KINDS))
OUTPUTS = OTHERS.stop
"""Number of outputs per step, which describe the step `LOOK_AHEAD` earlier. HEAT: logit of a
micro-expression centred there. CENTRE: offset to the centre, in units of `SHIFT` steps. DURATION:
log of duration / `MEAN_DURATION`. AMPLITUDE: log of amplitude / `MEAN_AMPLITUDE`. APEX: offset from
centre to apex, in units of `SHIFT` steps. UNITS: logits of `MICRO_ACTION_UNITS`. OTHERS: logits of
`KINDS` in progress."""
LOOK_AHEAD = 15
"""Steps."""
SHIFT = 5.0
"""Steps."""
MEAN_DURATION = 0.35
"""Seconds."""
MEAN_AMPLITUDE = 0.022
"""Inter-ocular distances."""


def encode(
    described: NDArray[np.float64], onset: float, apex: float, offset: float, amplitude: float
) -> Float:
    """Training targets CENTRE to APEX, float32[T, 4], for one movement.

    Parameters
    ----------
    described : float64[T]
        Mid-times of the steps that the outputs describe, seconds.
    onset, apex, offset : float
        Seconds.
    amplitude : float
        Inter-ocular distances.
    """
    centre = (onset + offset) / 2
    shape = np.empty((len(described), 4), np.float32)
    shape[:, CENTRE - CENTRE] = (centre - described) / STEP / SHIFT
    shape[:, DURATION - CENTRE] = np.log((offset - onset) / MEAN_DURATION)
    shape[:, AMPLITUDE - CENTRE] = np.log(amplitude / MEAN_AMPLITUDE)
    shape[:, APEX - CENTRE] = (apex - centre) / STEP / SHIFT
    return shape


def decode(time: float, outputs: Float) -> tuple[float, float, float, float]:
    """Onset, apex, offset (seconds) and amplitude (inter-ocular distances) of a movement.

    Parameters
    ----------
    time : float
        Mid-time of the step with these outputs, seconds.
    outputs : float32[26]
        Durations are clipped to [0.1, 0.64] s, amplitudes to [0.003, 0.16].
    """
    centre = time - STEP * (LOOK_AHEAD - SHIFT * outputs.item(CENTRE))
    duration = MEAN_DURATION * math.exp(min(max(outputs.item(DURATION), -1.25), 0.6))
    onset, offset = centre - duration / 2, centre + duration / 2
    apex = centre + SHIFT * STEP * outputs.item(APEX)
    amplitude = MEAN_AMPLITUDE * math.exp(min(max(outputs.item(AMPLITUDE), -2.0), 2.0))
    return onset, min(max(apex, onset), offset), offset, amplitude
