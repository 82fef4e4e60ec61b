"""Landmark tracks with known movements, made of the mean face; no generator of training data."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agent.base.types import Float, MicroExpression
from agent.vision.faces.shape3d import MEAN_SHAPE_3D

_FACE = MEAN_SHAPE_3D[:, :2].astype(np.float64)
Points = dict[int, tuple[float, float]]
MICRO: tuple[tuple[str, Points], ...] = (
    ("AU04", {17: (0.0, 0.2), 18: (0.1, 0.5), 19: (0.2, 0.8), 20: (0.3, 0.8), 21: (0.4, 0.9),
              26: (0.0, 0.2), 25: (-0.1, 0.5), 24: (-0.2, 0.8), 23: (-0.3, 0.8), 22: (-0.4, 0.9)}),
    ("AU12", {48: (-0.7, -0.7), 60: (-0.6, -0.6), 49: (-0.3, -0.4), 59: (-0.3, -0.3),
              54: (0.7, -0.7), 64: (0.6, -0.6), 53: (0.3, -0.4), 55: (0.3, -0.3)}),
    ("AU02", dict.fromkeys(range(17, 27), (0.0, -1.0))),
)  # fmt: skip
"""Action units: how landmarks move, about 1 where they move most; xy, y down."""
_LIDS: Points = dict.fromkeys((37, 38, 43, 44), (0.0, 1.0))


@dataclass(frozen=True, slots=True)
class Injected:
    """A movement; seconds."""

    unit: str
    onset: float
    offset: float

    def is_hit(self, found: MicroExpression) -> bool:
        """Whether the intersection over union is at least .5."""
        both = min(self.offset, found.offset) - max(self.onset, found.onset)
        either = self.offset - self.onset + found.offset - found.onset - both
        return both >= 0.5 * either


@dataclass(frozen=True, slots=True, eq=False)
class Track:
    """One face without losses."""

    times: NDArray[np.float64]
    points: Float
    """float32[T, 68, 2], pixels."""
    micro: list[Injected]


def make(
    seed: int, *, fps: float = 30.0, seconds: float = 40.0, noise: float = 0.001,
    iod: float = 110.0, events: int = 0, blinks: int = 0, smiles: int = 0,
) -> Track:  # fmt: skip
    """A swaying head; micro-expressions of .25-.45 s and .02-.035 IOD, blinks, smiles of 2 s.

    `noise`: standard deviation per coordinate, IOD. `iod`: outer-eye distance, pixels.
    """
    rng = np.random.default_rng(seed)
    times = np.arange(round(seconds * fps)) / fps
    face = np.repeat(_FACE[None], len(times), axis=0)

    def move(moved: Points, size: float, onset: float, offset: float) -> None:
        phase = np.clip((times - onset) / (offset - onset), 0.0, 1.0)
        course = size * (0.5 - 0.5 * np.cos(2 * np.pi * phase))[:, None, None]
        face[:, list(moved)] += course * np.array(list(moved.values()))

    micro = []
    for k in range(events):
        onset = 2.0 + (seconds - 4.0) * (k + rng.uniform(0.1, 0.6)) / events
        unit, moved = MICRO[k % len(MICRO)]
        micro.append(Injected(unit, onset, onset + rng.uniform(0.25, 0.45)))
        move(moved, rng.uniform(0.02, 0.035), onset, micro[-1].offset)
    for k in range(blinks):
        onset = 1.0 + (seconds - 2.0) * (k + rng.uniform(0.1, 0.7)) / blinks
        gap = float(_FACE[41, 1] - _FACE[37, 1])
        move(_LIDS, 0.9 * gap, onset, onset + rng.uniform(0.2, 0.3))
    for k in range(smiles):
        onset = 1.0 + (seconds - 4.0) * (k + rng.uniform(0.1, 0.7)) / smiles
        move(MICRO[1][1], 0.1, onset, onset + 2.0)
    sway = [0.1 * np.sin(2 * np.pi * (rng.uniform(0.1, 0.3) * times + rng.uniform())) for _ in "xy"]
    face += np.stack(sway, axis=1)[:, None] + noise * rng.standard_normal(face.shape)
    return Track(times, (300.0 + iod * face).astype(np.float32), micro)
