"""Faces and clocks made for these tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from agent.base.clock import ClockReading
from agent.base.device_time import DeviceTime, Instant
from agent.base.types import (
    Expression,
    Face,
    Landmarks,
    MicroExpression,
    MicroStatus,
    Perceived,
    Pose,
)
from agent.perceive.traces.keeper import Keeper
from agent.perceive.traces.recorder import Recorder
from agent.perceive.traces.session import OpenSession, name_of, new_code, this_machine
from agent.vision.faces.shape3d import MEAN_SHAPE_3D

NOON = 1_790_000_000.0
UNITS = np.linspace(0.1, 0.9, 12, dtype=np.float32)


def unknown_clock() -> ClockReading:
    return ClockReading("none", None)


class Clocks:
    """A machine's time, and a wall clock that may be trusted; both moved by hand."""

    def __init__(self, *, trusted: bool = False) -> None:
        self.boottime, self.trusted, self.utc = 100.0, trusted, NOON

    def __call__(self) -> ClockReading:
        import time

        if not self.trusted:
            return unknown_clock()
        return ClockReading("ntp", self.utc - time.monotonic())

    def device(self, stored: Instant | None) -> DeviceTime:
        return DeviceTime(
            stored,
            machine="m",
            boottime=lambda: self.boottime,
            utc=lambda: self.utc if self.trusted else None,
        )

    def pass_days(self, days: float) -> None:
        self.boottime += days * 86_400
        self.utc += days * 86_400


def face(track: int, shift: float = 0.0, *, new: bool = True) -> Face:
    """Somewhere in a picture; `shift`: of the left brow, inter-ocular distances."""
    points = (MEAN_SHAPE_3D[:, :2] * 60 + [320, 240]).astype(np.float32)
    points[17:22, 1] -= 60 * shift
    probabilities = np.full(8, 1 / 8, np.float32)
    return Face(
        track,
        np.array([280, 200, 360, 320], np.float32),
        0.9,
        Landmarks(points, 0.99),
        points,
        Pose(12.4, -3.0, 1.0),
        True,
        Expression(probabilities, True, 0.254, -0.5, UNITS),
        new,
        MicroStatus(True, None, 0.002),
    )


def movement(track: int, onset: float) -> MicroExpression:
    return MicroExpression(track, onset, onset + 0.1, onset + 0.2, 0.02, "surprise", ("AU01",), 0.8)


def frame(time: float, *faces: Face, micro: tuple[MicroExpression, ...] = ()) -> Perceived:
    return Perceived(time, faces, micro, size=(640, 480))


def opened(clocks: Clocks, seconds: int = 3600) -> tuple[str, OpenSession]:
    """A new code with its session."""
    code = new_code()
    name = name_of(code)
    assert name is not None
    return code, OpenSession(name, seconds, clocks.boottime, this_machine())


def recorder(
    folder: Path, key: X25519PrivateKey, clocks: Clocks, most: int = 10_000_000, days: int = 30
) -> Recorder:
    keeper = Keeper(folder, days, clocks, clocks.device)
    return Recorder(folder, key.public_key(), keeper, most, lambda: clocks.boottime)
