"""Micro-expressions of a rendered face (ICT-FaceKit): exact geometry, its own blendshapes.

Nothing is shared with the warped photographs but the timing: the units move as the face space's
blendshapes do, in three dimensions, with their wrinkles, under a turning head and with blinks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from agent.base.types import Float, Grey
from tools.micro.injection import Injection
from tools.render import person, render, scene
from tools.render.mesh import head
from tools.render.units import coefficients

FPS = 30.0
_BLINK = 0.3
"""Seconds."""


class RenderedFace:
    """A rendered person who looks at the camera, sways and blinks; see `Source` of the bench."""

    kind = "rendered"
    located = "geometry"

    def __init__(self, seed: int, iod: float, size: tuple[int, int] = (480, 640)) -> None:
        """`iod`: outer eye corners, pixels; `size`: height and width. SystemExit without pack."""
        self.name = f"rendered {seed}"
        rng = np.random.default_rng(seed)
        who = person(rng)
        while who.mask or (who.glasses is not None and who.glasses.tint > 0.3):
            who = person(rng, who.skin)
        still = scene(
            rng, who, size=size, expression="neutral", yaw=(-6, 6), pitch=(-4, 4), roll=(-3, 3)
        )
        camera = replace(still.camera, noise=0.0, blur=min(still.camera.blur, 0.6))
        still = replace(
            still, iod=iod, centre=(0.5, 0.5), camera=camera, distance=max(still.distance, 60.0)
        )
        self._still = replace(still, level=render(still).level)
        self._waves = (
            rng.uniform(0, 2 * np.pi, (5, 4)),
            np.exp(rng.uniform(np.log(0.05), np.log(0.45), (5, 4))),
        )
        gaps = rng.exponential(3.0, 400) + 1.0
        self._blinks = np.cumsum(gaps)
        self._kept: dict[int, Grey] = {}

    def frame(self, index: int, injected: Sequence[Injection]) -> Grey:
        """Picture uint8[H, W] without sensor noise. Pictures at rest are rendered once."""
        time = index / FPS
        active = [(p, p.course(time)) for p in injected]
        active = [(p, course) for p, course in active if course > 0.0]
        if not active and index in self._kept:
            return self._kept[index]
        moving = self._still.coefficients.copy()
        moving = np.maximum(moving, coefficients({"AU45": self._lids(time)}))
        for p, course in active:
            moving = moving + self._share(p) * course * _full(p)
        sway = (np.sin(self._waves[0] + 2 * np.pi * self._waves[1] * time)).sum(1)
        picture = render(
            replace(
                self._still,
                coefficients=moving.astype(np.float32),
                yaw=self._still.yaw + 0.6 * float(sway[0]),
                pitch=self._still.pitch + 0.4 * float(sway[1]),
                roll=self._still.roll + 0.3 * float(sway[2]),
                centre=(0.5 + 0.0015 * float(sway[3]), 0.5 + 0.0015 * float(sway[4])),
            )
        ).picture
        if not active:
            self._kept[index] = picture
        return picture

    def direction(self, injected: Injection) -> Float:
        """Which way the frontal face's landmarks go, float32[68, 2], the largest has length 1."""
        way = self._way(injected)
        return np.asarray(way / np.hypot(way[:, 0], way[:, 1]).max(), np.float32)

    def moment(self, time: float) -> float:
        """Nothing is shown twice."""
        return time

    def _share(self, injected: Injection) -> float:
        """Of full strength, for the wanted amplitude; blendshapes are linear."""
        way = self._way(injected)
        return injected.amplitude / float(np.hypot(way[:, 0], way[:, 1]).max())

    def _way(self, injected: Injection) -> Float:
        """Landmarks' way at full strength, inter-ocular distances, y down."""
        h, resting = head(), self._still.person.resting
        rest = resting[h.landmarks]
        moved = h.moved(resting, _full(injected))[h.landmarks] - rest
        wide = float(np.hypot(*(rest[45] - rest[36])[:2]))
        return np.asarray(moved[:, :2] * np.array([1.0, -1.0]) / wide, np.float32)

    def _lids(self, time: float) -> float:
        since = time - self._blinks
        since = since[(since >= 0.0) & (since < _BLINK)]
        return float(0.5 - 0.5 * np.cos(2 * np.pi * since[0] / _BLINK)) if len(since) else 0.0


def _full(injected: Injection) -> Float:
    # the subject's right side is at the picture's left
    left, right = float(injected.side != "left"), float(injected.side != "right")
    return coefficients(dict.fromkeys(injected.units, 1.0), left=left, right=right)
