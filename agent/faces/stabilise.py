"""Steady landmarks without lag: optical flow between frames, the network as a slow correction."""

from __future__ import annotations

import math

import numpy as np

from agent.faces.align import LANDMARK_CROP, cut, invert
from agent.faces.landmarks import Placement
from agent.kernels.flow import flow_points, fuse
from agent.kernels.geometry import fit_similarity, map_points
from agent.types import Float, Grey

_EQUAL = np.ones(68, np.float32)


def stabilise(before: Grey, earlier: Float, placed: Placement, elapsed: float) -> Float:
    """Landmarks of one face in the newer of two frames.

    The network is right on average and noisy in each frame; flow is smooth and drifts. Flow carries
    the earlier landmarks over, and the network draws them back with a time constant of one second,
    so nothing is averaged over time that moves: there is no lag.

    Parameters
    ----------
    before : uint8[H, W]
        The older frame.
    earlier : float32[68, 2]
        Stabilised landmarks in it, frame pixels.
    placed : Placement
        The network's answer for the newer frame.
    elapsed : float
        Seconds between the frames.

    Returns
    -------
    float32[68, 2]
        Frame pixels. Simply the network's after a jump (a cut, another face, a long gap).
    """
    if elapsed > 0.25:
        return placed.points
    matrix = placed.matrix
    start = map_points(matrix, earlier)
    network = map_points(matrix, placed.points)
    iod = LANDMARK_CROP.iod
    if float(np.abs(network - start).mean()) > 0.25 * iod:
        return placed.points
    rigid = map_points(fit_similarity(start, network, _EQUAL), start)
    flow = flow_points(
        cut(before, matrix, LANDMARK_CROP.size),
        placed.crop,
        start,
        rigid,
        4.0,
        4,
    )
    fused = fuse(flow, network, 1.0 - math.exp(-elapsed), 0.06 * iod, 0.14 * iod)
    return map_points(invert(matrix), fused)
