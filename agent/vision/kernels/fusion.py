"""Optical flow, a rigid head and the network's landmarks made into one answer."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

Float = NDArray[np.float32]
Double = NDArray[np.float64]

_TERMS = 4
"""Of the head's movement per coordinate: a shift, and shares of x, y and depth."""
_SIZE = 2 * _TERMS
_ROUNDS = 3
"""Of reweighting."""
_NOISE = 1.0
"""Variance of a pixel, squared grey levels, at the least: what rounding leaves."""
MAX_FORWARD_BACKWARD_ERROR = 0.4
"""Crop pixels off the start where the way back may end."""
_QUICK = 0.08
"""IODs beyond what is trusted, within which the network takes over wholly."""


@njit(nogil=True, cache=True)
def _solve(system: Double, right: Double) -> None:  # pragma: no cover
    """Symmetric positive definite `system` x = `right` by Cholesky's method, in place.

    The lower triangle of `system` counts.
    """
    n = right.size
    for j in range(n):
        for k in range(j):
            for i in range(j, n):
                system[i, j] -= system[i, k] * system[j, k]
        root = np.sqrt(max(system[j, j], 1e-12))
        for i in range(j, n):
            system[i, j] /= root
    for i in range(n):
        for k in range(i):
            right[i] -= system[i, k] * right[k]
        right[i] /= system[i, i]
    for i in range(n - 1, -1, -1):
        for k in range(i + 1, n):
            right[i] -= system[k, i] * right[k]
        right[i] /= system[i, i]


@njit(nogil=True, cache=True, error_model="numpy")
def fit_rigid_motion(
    flow: Float, places: Float, face: Float, ridge: float, iod: float
) -> Float:  # pragma: no cover
    """How the head moved, from all flow vectors: where each point would be on a rigid face.

    Parameters
    ----------
    flow : float32[N, 7]
        From `kernels.flow`, crop pixels; points with -1 in the last column are left out.
    places : float32[3, N, 2]
        Where the points were, where the network sees them, and the guess that flow began with;
        crop pixels.
    face : float32[N, 3]
        Of each point the depth in a mean face, away from the camera, and, as standard deviations,
        how far its movement within a frame differs from the head's and how far it is let differ
        (`settle`); inter-ocular distances.
    ridge : float
        With which flow was drawn to the guess, squared grey levels per pixel. It is taken out.
    iod : float
        Inter-ocular distance, crop pixels.

    Returns
    -------
    float32[N, 2]
        Crop pixels.

    Notes
    -----
    O(N), seven small allocations. Seen by an affine camera, the points of a rigid body move by
    x' - x = t + a x + b y + c depth in either coordinate (Koenderink & van Doorn, JOSA A 8, 1991).
    Weighted least squares: a vector weighs the inverse of its covariance (the patch's own, and how
    loose the skin is there), times Geman & McClure's weight for how far off it lies.
    Twin: tests/kernels/naive_fusion.py.
    """
    n = flow.shape[0]
    start = places[0]
    guess = places[2]
    pull = 64.0 * ridge
    terms = np.empty((n, _TERMS))
    weight = np.zeros((n, 3))
    target = np.zeros((n, 2))
    motion = np.zeros(_SIZE)
    middle_x = 0.0
    middle_y = 0.0
    for i in range(n):
        middle_x += start[i, 0] / n
        middle_y += start[i, 1] / n
    for i in range(n):
        terms[i, 0] = 1.0
        terms[i, 1] = (start[i, 0] - middle_x) / iod
        terms[i, 2] = (start[i, 1] - middle_y) / iod
        terms[i, 3] = face[i, 0]
        if flow[i, 6] < 0.0:
            continue
        noise = flow[i, 5] + _NOISE
        skin = (face[i, 1] * iod) ** 2
        xx = float(flow[i, 2])
        xy = float(flow[i, 3])
        yy = float(flow[i, 4])
        # What the patch says of the movement, without the pull towards the guess.
        gx = float(flow[i, 0]) - guess[i, 0]
        gy = float(flow[i, 1]) - guess[i, 1]
        sx = float(guess[i, 0]) - start[i, 0]
        sy = float(guess[i, 1]) - start[i, 1]
        bx = (xx + pull) * gx + xy * gy + xx * sx + xy * sy
        by = xy * gx + (yy + pull) * gy + xy * sx + yy * sy
        # (noise H^-1 + skin)^-1 = (noise + skin H)^-1 H, which bare skin does not upset.
        mxx = noise + skin * xx
        mxy = skin * xy
        myy = noise + skin * yy
        det = mxx * myy - mxy * mxy
        weight[i, 0] = (myy * xx - mxy * xy) / det
        weight[i, 1] = (myy * xy - mxy * yy) / det
        weight[i, 2] = (mxx * yy - mxy * xy) / det
        target[i, 0] = (myy * bx - mxy * by) / det
        target[i, 1] = (mxx * by - mxy * bx) / det
    system = np.empty((_SIZE, _SIZE))
    right = np.empty(_SIZE)
    for turn in range(_ROUNDS):
        # A little faith in a head that only shifts keeps the rest within bounds.
        system[:] = 0.0
        right[:] = 0.0
        for k in range(_SIZE):
            system[k, k] = 1e-6 if k % _TERMS == 0 else 1.0
        for i in range(n):
            xx = weight[i, 0]
            xy = weight[i, 1]
            yy = weight[i, 2]
            vx = target[i, 0]
            vy = target[i, 1]
            if turn:
                ex = float(flow[i, 0]) - start[i, 0]
                ey = float(flow[i, 1]) - start[i, 1]
                for k in range(_TERMS):
                    ex -= motion[k] * terms[i, k]
                    ey -= motion[_TERMS + k] * terms[i, k]
                far = xx * ex * ex + 2.0 * xy * ex * ey + yy * ey * ey
                share = 1.0 / (1.0 + far / 4.0)
                share *= share
                xx *= share
                xy *= share
                yy *= share
                vx *= share
                vy *= share
            for k in range(_TERMS):
                right[k] += terms[i, k] * vx
                right[_TERMS + k] += terms[i, k] * vy
                for m in range(_TERMS):
                    both = terms[i, k] * terms[i, m]
                    if m <= k:
                        system[k, m] += both * xx
                        system[_TERMS + k, _TERMS + m] += both * yy
                    system[_TERMS + k, m] += both * xy
        _solve(system, right)
        motion[:] = right
    out = np.empty((n, 2), np.float32)
    for i in range(n):
        x = float(start[i, 0])
        y = float(start[i, 1])
        for k in range(_TERMS):
            x += motion[k] * terms[i, k]
            y += motion[_TERMS + k] * terms[i, k]
        out[i, 0] = x
        out[i, 1] = y
    return out


@njit(nogil=True, cache=True, error_model="numpy")
def settle(
    flow: Float,
    places: Float,
    face: Float,
    log_spread: Float,
    ridge: float,
    gain: float,
    iod: float,
    matrix: Float,
    out: Float,
) -> float:  # pragma: no cover
    """Each point from its flow and `fit_rigid_motion`, drawn slowly to the network.

    Parameters
    ----------
    flow, places, face, ridge, iod
        As in `fit_rigid_motion`. Vectors whose way back ends more than 0.4 pixels off the start
        count for nothing.
    log_spread : float32[N]
        Logarithm of the expected distance of the network's points from their true places, in
        inter-ocular distances. It draws less where it is less sure, and overrules flow only where
        it disagrees by more than 6 % of the IOD and twice the spread.
    gain : float
        Share of the difference to the network taken over in this frame, in [0, 1]; up to five times
        less where the network is unsure.
    matrix : float32[2, 3]
        Frame to crop pixels, a similarity.
    out : float32[N, 2]
        Overwritten: frame pixels.

    Returns
    -------
    float
        Share in [0, 1] of the points inside the outline (from 17 on) that kept their hold: their
        flow counted, and the network did not overrule it.

    Notes
    -----
    O(N). The most probable place given the patch (its squared gradients over what it leaves
    unexplained are the information it has) and a Gaussian around the head's movement.
    Twin: tests/kernels/naive_fusion.py.
    """
    rigid = fit_rigid_motion(flow, places, face, ridge, iod)
    n = flow.shape[0]
    network = places[1]
    guess = places[2]
    pull = 64.0 * ridge
    a = float(matrix[0, 0])
    c = float(matrix[1, 0])
    area = a * a + c * c
    kept = 0
    for i in range(n):
        x = float(rigid[i, 0])
        y = float(rigid[i, 1])
        good = 0.0 <= flow[i, 6] <= MAX_FORWARD_BACKWARD_ERROR
        if good:
            xx = float(flow[i, 2])
            xy = float(flow[i, 3])
            yy = float(flow[i, 4])
            gx = float(flow[i, 0]) - guess[i, 0]
            gy = float(flow[i, 1]) - guess[i, 1]
            sx = guess[i, 0] - x
            sy = guess[i, 1] - y
            vx = (xx + pull) * gx + xy * gy + xx * sx + xy * sy
            vy = xy * gx + (yy + pull) * gy + xy * sx + yy * sy
            trust = (flow[i, 5] + _NOISE) / (face[i, 2] * iod) ** 2
            xx += trust
            yy += trust
            det = xx * yy - xy * xy
            x += (yy * vx - xy * vy) / det
            y += (xx * vy - xy * vx) / det
        dx = network[i, 0] - x
        dy = network[i, 1] - y
        apart = np.sqrt(dx * dx + dy * dy)
        spread = np.exp(float(log_spread[i]))
        unsure = spread / 0.03
        share = gain / min(max(unsure * unsure, 1.0), 5.0)
        near = max(0.06, 2.0 * spread) * iod
        if apart > near:
            quick = min(1.0, (apart - near) / (_QUICK * iod))
            share = max(share, quick)
            good &= quick < 0.2
        if good and i >= 17:
            kept += 1
        x += share * dx - matrix[0, 2]
        y += share * dy - matrix[1, 2]
        out[i, 0] = (a * x + c * y) / area
        out[i, 1] = (a * y - c * x) / area
    return kept / max(n - 17, 1)
