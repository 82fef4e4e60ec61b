"""Steady landmarks without lag: optical flow between frames, the network as a slow correction."""

from __future__ import annotations

import math

from agent.faces.align import LANDMARK_CROP
from agent.faces.landmarks import Placement
from agent.kernels.flow import carry_over
from agent.types import Float

_LONG = 0.25
"""Seconds between frames beyond which flow has nothing to hold on to."""


def stabilise(before: Placement, earlier: Float, placed: Placement, elapsed: float) -> Float:
    """Landmarks of one face in the newer of two frames.

    The network is right on average and noisy in each frame; flow is smooth and drifts. Flow carries
    the earlier landmarks over, and the network draws them back with a time constant of one second,
    so nothing is averaged over time that moves: there is no lag.

    Parameters
    ----------
    before : Placement
        The network's answer for the older frame, for its crop.
    earlier : float32[68, 2]
        Stabilised landmarks in the older frame, frame pixels.
    placed : Placement
        The network's answer for the newer frame.
    elapsed : float
        Seconds between the frames.

    Returns
    -------
    float32[68, 2]
        Frame pixels. Simply the network's after a jump (a cut, another face, a long gap).
    """
    if elapsed > _LONG:
        return placed.points
    return carry_over(
        before.crop,
        placed.crop,
        before.matrix,
        placed.matrix,
        earlier,
        placed.points,
        1.0 - math.exp(-elapsed),
        LANDMARK_CROP.iod,
    )
