"""Rotation matrices in the camera frame."""

from __future__ import annotations

import numpy as np

from agent.base.types import Float


def rotation(yaw: float, pitch: float, roll: float) -> Float:
    """float32[3, 3] for a shape that faces -z; degrees, signs as in `Pose`."""
    y, p, r = np.radians([yaw, pitch, roll])
    about_y = np.array([[np.cos(y), 0, -np.sin(y)], [0, 1, 0], [np.sin(y), 0, np.cos(y)]])
    about_x = np.array([[1, 0, 0], [0, np.cos(p), -np.sin(p)], [0, np.sin(p), np.cos(p)]])
    about_z = np.array([[np.cos(r), -np.sin(r), 0], [np.sin(r), np.cos(r), 0], [0, 0, 1]])
    return np.asarray(about_y @ about_x @ about_z, np.float32)
