"""Fusion of optical flow, rigid head motion and the network's landmarks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from agent.kernels.machine_code import kernel

Float = NDArray[np.float32]
Double = NDArray[np.float64]

X, Y, GXX, GXY, GYY, RESIDUAL, BACKWARD_ERROR = range(7)
EARLIER, NETWORK, GUESS = range(3)
"""As in `kernels.flow` and `kernels.predict`."""
DEPTH, FIT_DEVIATION, SKIN_DEVIATION = range(3)
"""Columns of the face model."""

_TERMS = 4
"""Coefficients of head motion per coordinate: translation, x, y and depth."""
_SIZE = 2 * _TERMS
_XX, _XY, _YY, _TX, _TY = range(5)
"""Rows of the normal equations' terms: information, and information times displacement."""
_ITERATIONS = 3
"""Of iteratively reweighted least squares."""
_MIN_VARIANCE = 1.0
"""Least variance of a pixel, squared grey levels."""
MAX_FORWARD_BACKWARD_ERROR = 0.4
"""Crop pixels; flow vectors beyond are rejected."""
_TRANSITION = 0.08
"""IODs over which the network's weight rises to 1 beyond the trusted distance."""


@kernel()
def _solve(system: Double, right: Double) -> None:  # pragma: no cover
    """Solve `system` x = `right` in place by Cholesky decomposition; reads the lower triangle."""
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


@kernel(fastmath={"reassoc", "contract", "nsz", "arcp"})
def _put_block(
    weight: Double, terms: Double, system: Double, row: int, column: int
) -> None:  # pragma: no cover
    """Put the sums of `weight` times the products of two terms into a block of `system`."""
    s00 = s10 = s11 = s20 = s21 = s22 = s30 = s31 = s32 = s33 = 0.0
    for i in range(weight.size):  # one loop for all, so that LLVM vectorises over the points
        w = weight[i]
        x = terms[0, i]
        y = terms[1, i]
        z = terms[2, i]
        wx = w * x
        wy = w * y
        wz = w * z
        s00 += w
        s10 += wx
        s20 += wy
        s30 += wz
        s11 += wx * x
        s21 += wx * y
        s31 += wx * z
        s22 += wy * y
        s32 += wy * z
        s33 += wz * z
    sums = ((s00, s10, s20, s30), (s10, s11, s21, s31), (s20, s21, s22, s32), (s30, s31, s32, s33))
    for k in range(_TERMS):
        for m in range(_TERMS):
            system[row + k, column + m] = sums[k][m]


@kernel(fastmath={"reassoc", "contract", "nsz", "arcp"})
def _put_target(target: Double, terms: Double, right: Double, row: int) -> None:  # pragma: no cover
    """Put the sums of `target` times each term into four elements of `right`."""
    s0 = s1 = s2 = s3 = 0.0
    for i in range(target.size):
        s0 += target[i]
        s1 += target[i] * terms[0, i]
        s2 += target[i] * terms[1, i]
        s3 += target[i] * terms[2, i]
    right[row] = s0
    right[row + 1] = s1
    right[row + 2] = s2
    right[row + 3] = s3


@kernel(error_model="numpy")
def fit_rigid_motion(
    flow: Float, in_crop: Float, face: Float, ridge: float, iod: float
) -> Float:  # pragma: no cover
    """Rigid head motion fitted to all flow vectors: position of each point on a rigid face.

    Parameters
    ----------
    flow : float32[N, 7]
        From `kernels.flow`, crop pixels; points with BACKWARD_ERROR -1 are ignored.
    in_crop : float32[4, N, 2]
        From `kernels.predict`, crop pixels.
    face : float32[N, 3]
        Inter-ocular distances. DEPTH: of the mean face, away from the camera. FIT_DEVIATION and
        SKIN_DEVIATION: standard deviation per frame of a point's movement from the head's, assumed
        in this fit and in `fuse_landmarks`.
    ridge : float
        Regularisation of the flow, squared grey levels per pixel; removed here.
    iod : float
        Inter-ocular distance, crop pixels.

    Returns
    -------
    float32[N, 2]
        Crop pixels.

    Notes
    -----
    O(N), eight small allocations. Under an affine camera the points of a rigid body move by
    x' - x = t + a x + b y + c depth in each coordinate (Koenderink & van Doorn, JOSA A 8, 1991).
    Iteratively reweighted least squares: inverse covariance (of the patch and of the skin) times
    the Geman-McClure weight of the residual.
    Twin: tests/kernels/naive_fusion.py.
    """
    n = flow.shape[0]
    start = in_crop[EARLIER]
    guess = in_crop[GUESS]
    pull = 64.0 * ridge
    # columns of weight zero fill the last vector
    room = (n + 7) // 8 * 8
    terms = np.zeros((_TERMS - 1, room))
    moved = np.zeros((2, room))
    fixed = np.zeros((5, room))
    middle_x = 0.0
    middle_y = 0.0
    for i in range(n):
        middle_x += start[i, 0] / n
        middle_y += start[i, 1] / n
    for i in range(n):
        terms[0, i] = (start[i, 0] - middle_x) / iod
        terms[1, i] = (start[i, 1] - middle_y) / iod
        terms[2, i] = face[i, DEPTH]
        if flow[i, BACKWARD_ERROR] < 0.0:
            continue
        noise = flow[i, RESIDUAL] + _MIN_VARIANCE
        skin = (face[i, FIT_DEVIATION] * iod) ** 2
        xx = float(flow[i, GXX])
        xy = float(flow[i, GXY])
        yy = float(flow[i, GYY])
        # right-hand side of the patch's normal equations without regularisation
        gx = float(flow[i, X]) - guess[i, 0]
        gy = float(flow[i, Y]) - guess[i, 1]
        sx = float(guess[i, 0]) - start[i, 0]
        sy = float(guess[i, 1]) - start[i, 1]
        bx = (xx + pull) * gx + xy * gy + xx * sx + xy * sy
        by = xy * gx + (yy + pull) * gy + xy * sx + yy * sy
        # (noise H^-1 + skin)^-1 = (noise + skin H)^-1 H, also for singular H (no texture)
        mxx = noise + skin * xx
        mxy = skin * xy
        myy = noise + skin * yy
        share = 1.0 / (mxx * myy - mxy * mxy)
        fixed[_XX, i] = (myy * xx - mxy * xy) * share
        fixed[_XY, i] = (myy * xy - mxy * yy) * share
        fixed[_YY, i] = (mxx * yy - mxy * xy) * share
        fixed[_TX, i] = (myy * bx - mxy * by) * share
        fixed[_TY, i] = (mxx * by - mxy * bx) * share
        moved[0, i] = float(flow[i, X]) - start[i, 0]
        moved[1, i] = float(flow[i, Y]) - start[i, 1]
    weighted = fixed.copy()
    motion = np.zeros(_SIZE)
    system = np.empty((_SIZE, _SIZE))
    for iteration in range(_ITERATIONS):
        if iteration:
            for i in range(room):
                ex = moved[0, i] - motion[0]
                ey = moved[1, i] - motion[_TERMS]
                for k in range(_TERMS - 1):
                    ex -= motion[1 + k] * terms[k, i]
                    ey -= motion[_TERMS + 1 + k] * terms[k, i]
                xx = fixed[_XX, i]
                yy = fixed[_YY, i]
                residual = xx * ex * ex + 2.0 * fixed[_XY, i] * ex * ey + yy * ey * ey
                share = 1.0 / (1.0 + residual / 4.0)
                share *= share
                for k in range(5):
                    weighted[k, i] = share * fixed[k, i]
        _put_block(weighted[_XX], terms, system, 0, 0)
        _put_block(weighted[_XY], terms, system, _TERMS, 0)
        _put_block(weighted[_YY], terms, system, _TERMS, _TERMS)
        _put_target(weighted[_TX], terms, motion, 0)
        _put_target(weighted[_TY], terms, motion, _TERMS)
        # weak prior for pure translation
        for k in range(_SIZE):
            system[k, k] += 1e-6 if k % _TERMS == 0 else 1.0
        _solve(system, motion)
    out = np.empty((n, 2), np.float32)
    for i in range(n):
        x = float(start[i, 0]) + motion[0]
        y = float(start[i, 1]) + motion[_TERMS]
        for k in range(_TERMS - 1):
            x += motion[1 + k] * terms[k, i]
            y += motion[_TERMS + 1 + k] * terms[k, i]
        out[i, 0] = x
        out[i, 1] = y
    return out


@kernel(error_model="numpy")
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
    """Fuse each point's flow with `fit_rigid_motion`, and correct it slowly by the network.

    Parameters
    ----------
    flow, in_crop, face, ridge, iod
        As in `fit_rigid_motion`. Vectors beyond `MAX_FORWARD_BACKWARD_ERROR` are ignored.
    log_spread : float32[N]
        Logarithm of the expected error of the network's points, inter-ocular distances. A larger
        error reduces the correction; the network overrides flow only where they differ by more
        than 6 % of the IOD and twice the error.
    gain : float
        Correction of the difference to the network per frame, in [0, 1]; up to five times less
        where its expected error is large.
    matrix : float32[2, 3]
        Frame to crop pixels, a similarity.
    out : float32[N, 2]
        Overwritten: frame pixels.

    Returns
    -------
    float
        Share of the inner points (from 17 on) tracked by flow that the network did not override.

    Notes
    -----
    O(N). Maximum a posteriori position given the patch (information: structure tensor over
    residual) and a Gaussian prior around the rigid motion.
    Twin: tests/kernels/naive_fusion.py.
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
            prior = (flow[i, RESIDUAL] + _MIN_VARIANCE) / (face[i, SKIN_DEVIATION] * iod) ** 2
            xx += prior
            yy += prior
            det = xx * yy - xy * xy
            x += (yy * vx - xy * vy) / det
            y += (xx * vy - xy * vx) / det
        dx = network[i, 0] - x
        dy = network[i, 1] - y
        distance = np.sqrt(dx * dx + dy * dy)
        spread = np.exp(float(log_spread[i]))
        relative_error = spread / 0.03
        share = gain / min(max(relative_error * relative_error, 1.0), 5.0)
        trusted = max(0.06, 2.0 * spread) * iod
        if distance > trusted:
            override = min(1.0, (distance - trusted) / (_TRANSITION * iod))
            share = max(share, override)
            good &= override < 0.2
        if good and i >= 17:
            tracked += 1
        x += share * dx - matrix[0, 2]
        y += share * dy - matrix[1, 2]
        out[i, 0] = (a * x + c * y) / area
        out[i, 1] = (a * y - c * x) / area
    return tracked / max(n - 17, 1)
