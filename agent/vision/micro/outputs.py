"""Outputs of the spotter's network: layout, encoding for training, decoding on the device."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from agent.base.types import MICRO_ACTION_UNITS, Float
from agent.vision.micro.stream import STEP

KINDS = ("macro", "blink", "speech", "head_motion", "tracking_jump")
"""Movements that are no micro-expressions."""
HEAT, CENTRE, DURATION, AMPLITUDE, APEX = range(5)
UNITS = slice(5, 5 + len(MICRO_ACTION_UNITS))
OTHERS = slice(UNITS.stop, UNITS.stop + len(KINDS))
OUTPUTS = OTHERS.stop
"""float32[26] of one step, which describe the step `LOOK_AHEAD` before it. HEAT: logit that a
micro-expression has its centre there. CENTRE: from there to the centre, in `SHIFT` steps. DURATION:
log over `USUAL_DURATION`. AMPLITUDE: log over `USUAL_AMPLITUDE`. APEX: from the centre to the apex,
in `SHIFT` steps. UNITS: logits of `MICRO_ACTION_UNITS`. OTHERS: logits of `KINDS` being under way.
"""
LOOK_AHEAD = 15
"""Steps."""
SHIFT = 5.0
"""Steps."""
USUAL_DURATION = 0.35
"""Seconds."""
USUAL_AMPLITUDE = 0.022
"""Inter-ocular distances."""


def encode(
    described: NDArray[np.float64], onset: float, apex: float, offset: float, amplitude: float
) -> Float:
    """CENTRE to APEX float32[T, 4] for one movement, as training targets.

    Parameters
    ----------
    described : float64[T]
        Middles of the steps that the outputs describe, seconds.
    onset, apex, offset : float
        Seconds.
    amplitude : float
        Inter-ocular distances.
    """
    centre = (onset + offset) / 2
    shape = np.empty((len(described), 4), np.float32)
    shape[:, CENTRE - CENTRE] = (centre - described) / STEP / SHIFT
    shape[:, DURATION - CENTRE] = np.log((offset - onset) / USUAL_DURATION)
    shape[:, AMPLITUDE - CENTRE] = np.log(amplitude / USUAL_AMPLITUDE)
    shape[:, APEX - CENTRE] = (apex - centre) / STEP / SHIFT
    return shape


def decode(time: float, outputs: Float) -> tuple[float, float, float, float]:
    """Onset, apex, offset (seconds) and amplitude (inter-ocular distances) of a movement.

    Parameters
    ----------
    time : float
        Middle of the step with these outputs, seconds.
    outputs : float32[26]
        Durations are cut to .1 to .64 s, amplitudes to .003 to .16.
    """
    centre = time - STEP * (LOOK_AHEAD - SHIFT * outputs.item(CENTRE))
    duration = USUAL_DURATION * math.exp(min(max(outputs.item(DURATION), -1.25), 0.6))
    onset, offset = centre - duration / 2, centre + duration / 2
    apex = centre + SHIFT * STEP * outputs.item(APEX)
    amplitude = USUAL_AMPLITUDE * math.exp(min(max(outputs.item(AMPLITUDE), -2.0), 2.0))
    return onset, min(max(apex, onset), offset), offset, amplitude
