"""Landmark labels of the clean set: two permissively licensed votes, in one convention.

FaceMesh v2 and PFLD-GhostOne put points where their makers' data has them, each elsewhere. Both are
moved most of the way to the hand-made convention by the published mean of hand-made points
(`tools.train.landmarks.labels.HAND_MADE_X`), a constant, and averaged: their chance errors are
nearly independent. The jaw is GhostOne's.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from agent.base.types import Float, Grey
from agent.vision.faces.align import FLIP
from tools.common.packs import load, packs_folder
from tools.train.clean.synthetic import synthetic_rows
from tools.train.landmarks import labels
from tools.train.landmarks.labels import DOUBT, FRONTAL, TO_CONVENTION
from tools.train.landmarks.teachers import GHOST, ask_ghost

Complex = NDArray[np.complex128]


def blended(pictures: Sequence[Grey], mesh: Float, yaw: Float) -> tuple[Float, Float]:
    """Labels float32[N, 68, 2], picture pixels, and the trust float32[N, 68] in (0, 1] in them.

    Parameters
    ----------
    pictures
        uint8[H, W] each.
    mesh : float32[N, 68, 2]
        FaceMesh's points, picture pixels, jaw by GhostOne.
    yaw : float32[N]
        Degrees.
    """
    net = cv2.dnn.readNetFromONNX(str(packs_folder() / "teachers" / GHOST))
    ghost = np.stack([ask_ghost(net, p, q) for p, q in zip(pictures, mesh, strict=True)])
    one = moved(mesh, mesh_step(), yaw)
    other = moved(ghost, step(ghost, yaw), yaw)
    iod = np.linalg.norm(mesh[:, 45] - mesh[:, 36], axis=1)[:, None]
    apart = np.linalg.norm(one - other, axis=2) / iod / 2
    return ((one + other) / 2).astype(np.float32), (1 / (1 + (apart / DOUBT) ** 2)).astype(
        np.float32
    )


@cache
def mesh_step() -> Float:
    """`step` of FaceMesh's points, from SFHQ's training faces."""
    pack, rows = load("faces_labels.npz"), synthetic_rows("train")
    yaw = pack["pose_yaw_pitch_roll"][rows, 0].astype(np.float32)
    return step(pack["lm68"][rows].astype(np.float32), yaw)


def step(points: Float, yaw: Float) -> Float:
    """What takes a teacher's points float32[N, 68, 2] to the hand-made convention on average.

    float32[68, 2], IOD, in the frame of `hand_made`, the same for both halves of the face; from the
    faces that look into the camera. 0 for the jaw, of which no mean is published.
    """
    front = np.abs(yaw) < FRONTAL
    inner, turn = _framed(points[front])
    framed = turn * inner
    mean = np.median(np.stack([framed.real, framed.imag], -1), 0)
    away = np.zeros((68, 2))
    away[17:] = labels.convention(mean, labels.hand_made())
    away = (away + (away * [-1, 1])[FLIP]) / 2
    return (TO_CONVENTION * away).astype(np.float32)


def moved(points: Float, by: Float, yaw: Float) -> Float:
    """Points float32[N, 68, 2] moved by a `step`; what lies across a turned face is shortened."""
    _, turn = _framed(points)
    across = np.cos(np.radians(yaw))[:, None] * by[:, 0]
    shift = (across + 1j * by[:, 1]) / turn
    return (points + np.stack([shift.real, shift.imag], -1)).astype(np.float32)


def _framed(points: Float) -> tuple[Complex, Complex]:
    """Inner points about their middle complex[N, 51], and complex[N, 1]: the turn and scale that
    lay them upon the mean of hand-made ones (Umeyama 1991 in its complex form)."""
    goal = labels.hand_made() @ [1, 1j]
    goal = goal - goal.mean()
    inner = points[:, 17:].astype(np.float64) @ [1, 1j]
    inner = inner - inner.mean(1, keepdims=True)
    turn = (inner.conj() @ goal) / (np.abs(inner) ** 2).sum(1)
    return inner, turn[:, None]
