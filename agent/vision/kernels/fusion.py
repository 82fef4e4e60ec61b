"""Fusion of optical flow, the head's rigid motion and the network's landmarks."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

Float = NDArray[np.float32]
Double = NDArray[np.float64]

X, Y, GXX, GXY, GYY, RESIDUAL, BACKWARD_ERROR = range(7)
EARLIER, NETWORK, GUESS = range(3)
"""As in `kernels.flow`."""
DEPTH, FIT_DEVIATION, SKIN_DEVIATION = range(3)
"""Columns of the face model."""

_TERMS = 4
"""Of the head's movement per coordinate: a shift, and shares of x, y and depth."""
_SIZE = 2 * _TERMS
_ROUNDS = 3
"""Of reweighting."""
_NOISE = 1.0
"""Variance of a pixel, squared grey levels, at the least: what rounding leaves."""
MAX_FORWARD_BACKWARD_ERROR = 0.4
"""Crop pixels off the start where backward flow may end."""
_TAKE_OVER = 0.08
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
    flow: Float, in_crop: Float, face: Float, ridge: float, iod: float
) -> Float:  # pragma: no cover
    """The head's rigid motion from all flow vectors: where each point would be on a rigid face.

    Parameters
    ----------
    flow : float32[N, 7]
        From `kernels.flow`, crop pixels; points with -1 as BACKWARD_ERROR are left out.
    in_crop : float32[3, N, 2]
        From `kernels.flow`, crop pixels.
    face : float32[N, 3]
        Inter-ocular distances. DEPTH: in a mean face, away from the camera. FIT_DEVIATION and
        SKIN_DEVIATION: standard deviation of a point's movement within a frame from the head's, as
        assumed in this fit and in `fuse_landmarks`.
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
    Twin: tests/vision/kernels/naive_fusion.py.
    """
    n = flow.shape[0]
    start = in_crop[EARLIER]
    guess = in_crop[GUESS]
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
        terms[i, 3] = face[i, DEPTH]
        if flow[i, BACKWARD_ERROR] < 0.0:
            continue
        noise = flow[i, RESIDUAL] + _NOISE
        skin = (face[i, FIT_DEVIATION] * iod) ** 2
        xx = float(flow[i, GXX])
        xy = float(flow[i, GXY])
        yy = float(flow[i, GYY])
        # What the patch says of the movement, without the pull towards the guess.
        gx = float(flow[i, X]) - guess[i, 0]
        gy = float(flow[i, Y]) - guess[i, 1]
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
        # A weak prior for a head that only shifts keeps the rest within bounds.
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
                ex = float(flow[i, X]) - start[i, 0]
                ey = float(flow[i, Y]) - start[i, 1]
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
def fuse_landmarks(
    flow: Float,
    in_crop: Float,
    face: Float,
    log_spread: Float,
    ridge: float,
    gain: float,
    iod: float,
    matrix: Float,
    out: Float,
) -> float:  # pragma: no cover
    """Each point from its flow and `fit_rigid_motion`, slowly corrected by the network.

    Parameters
    ----------
    flow, in_crop, face, ridge, iod
        As in `fit_rigid_motion`. Vectors beyond `MAX_FORWARD_BACKWARD_ERROR` count for nothing.
    log_spread : float32[N]
        Logarithm of the expected distance of the network's points from their true places, in
        inter-ocular distances. It corrects less where it is less sure, and overrules flow only
        where it disagrees by more than 6 % of the IOD and twice the spread.
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
        Share in [0, 1] of the points inside the outline (from 17 on) that were tracked: their flow
        counted, and the network did not overrule it.

    Notes
    -----
    O(N). The maximum a posteriori place given the patch (information: its structure tensor over its
    residual) and a Gaussian prior around the head's movement.
    Twin: tests/vision/kernels/naive_fusion.py.
    """
    rigid = fit_rigid_motion(flow, in_crop, face, ridge, iod)
    n = flow.shape[0]
    network = in_crop[NETWORK]
    guess = in_crop[GUESS]
    pull = 64.0 * ridge
    a = float(matrix[0, 0])
    c = float(matrix[1, 0])
    area = a * a + c * c
    tracked = 0
    for i in range(n):
        x = float(rigid[i, 0])
        y = float(rigid[i, 1])
        good = 0.0 <= flow[i, BACKWARD_ERROR] <= MAX_FORWARD_BACKWARD_ERROR
        if good:
            xx = float(flow[i, GXX])
            xy = float(flow[i, GXY])
            yy = float(flow[i, GYY])
            gx = float(flow[i, X]) - guess[i, 0]
            gy = float(flow[i, Y]) - guess[i, 1]
            sx = guess[i, 0] - x
            sy = guess[i, 1] - y
            vx = (xx + pull) * gx + xy * gy + xx * sx + xy * sy
            vy = xy * gx + (yy + pull) * gy + xy * sx + yy * sy
            prior = (flow[i, RESIDUAL] + _NOISE) / (face[i, SKIN_DEVIATION] * iod) ** 2
            xx += prior
            yy += prior
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
            taken_over = min(1.0, (apart - near) / (_TAKE_OVER * iod))
            share = max(share, taken_over)
            good &= taken_over < 0.2
        if good and i >= 17:
            tracked += 1
        x += share * dx - matrix[0, 2]
        y += share * dy - matrix[1, 2]
        out[i, 0] = (a * x + c * y) / area
        out[i, 1] = (a * y - c * x) / area
    return tracked / max(n - 17, 1)
