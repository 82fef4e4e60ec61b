"""Slow, plain twins of the fusion kernels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from agent.base.types import Float

Double = NDArray[np.float64]


def _information(row: Float) -> Double:
    return np.array([[row[2], row[3]], [row[3], row[4]]], float)


def _gradient(row: Float, guess: Float, origin: Float | Double, ridge: float) -> Double:
    """Squared gradients times the movement from `origin` that the patch alone asks for."""
    own = _information(row)
    pulled = (own + 64 * ridge * np.eye(2)) @ (row[:2].astype(float) - guess)
    return np.asarray(pulled + own @ (guess.astype(float) - origin))


def fit_rigid_motion(flow: Float, in_crop: Float, face: Float, ridge: float, iod: float) -> Double:
    """Rigid positions float64[N, 2], by stacked weighted normal equations."""
    start, _, guess = in_crop.astype(float)
    terms = np.column_stack([np.ones(len(flow)), (start - start.mean(0)) / iod, face[:, 0]])
    prior = np.diag([1e-6, 1, 1, 1] * 2)
    motion = np.zeros(8)
    for turn in range(3):
        system, right = prior.copy(), np.zeros(8)
        for i, row in enumerate(flow):
            if row[6] < 0:
                continue
            own = _information(row)
            mixed = (row[5] + 1) * np.eye(2) + (face[i, 1] * iod) ** 2 * own
            weight = np.linalg.solve(mixed, own)
            asked = np.linalg.solve(mixed, _gradient(row, guess[i], start[i], ridge))
            design = np.kron(np.eye(2), terms[i])
            share = 1.0
            if turn:
                e = row[:2] - start[i] - design @ motion
                share = (1 + e @ weight @ e / 4) ** -2
            system += share * design.T @ weight @ design
            right += share * design.T @ asked
        motion[:] = np.linalg.solve(system, right)
    return np.asarray(start + terms @ motion.reshape(2, 4).T)


def fuse_landmarks(
    flow: Float,
    in_crop: Float,
    face: Float,
    log_spread: Float,
    ridge: float,
    gain: float,
    iod: float,
    matrix: Float,
) -> tuple[Double, float]:
    """Points float64[N, 2] in frame pixels, and the share that were tracked."""
    network, guess = in_crop[1].astype(float), in_crop[2].astype(float)
    out = fit_rigid_motion(flow, in_crop, face, ridge, iod)
    spread = np.exp(log_spread.astype(float))
    tracked = np.zeros(len(flow), bool)
    for i, row in enumerate(flow):
        tracked[i] = 0 <= row[6] <= 0.4
        if tracked[i]:
            prior = (row[5] + 1) / (face[i, 2] * iod) ** 2 * np.eye(2)
            asked = _gradient(row, guess[i], out[i], ridge)
            out[i] += np.linalg.solve(_information(row) + prior, asked)
        share = gain / np.clip((spread[i] / 0.03) ** 2, 1, 5)
        apart = float(np.hypot(*(network[i] - out[i])))
        taken_over = (apart - max(0.06, 2 * spread[i]) * iod) / (0.08 * iod)
        if taken_over > 0:
            share = max(share, min(1.0, taken_over))
            tracked[i] &= taken_over < 0.2
        out[i] += share * (network[i] - out[i])
    back = np.linalg.inv(np.vstack([matrix, [0, 0, 1]]).astype(float))
    frame = out @ back[:2, :2].T + back[:2, 2]
    return frame, float(tracked[17:].mean())
