"""A rendered person who turns the head away and back; needs the pack of rendered faces."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from agent.base.types import Grey
from tools.bench.visits.cases import FPS, SIZE, Case
from tools.render import person, render, scene

_FAR = 110.0
"""Degrees: the face is out of sight."""
_TURN = 12
"""Frames to get there."""


def turning() -> list[Case]:
    """Eight times three seconds, to one side and to both."""
    return [
        Case("rendered: 8 glances of 3 s to one side", 1, lambda: _glances(2, False)),
        Case("rendered: 8 glances of 3 s to both sides", 1, lambda: _glances(5, True)),
    ]


def _glances(seed: int, both: bool) -> Iterator[Grey]:
    steps = _steps(seed, 1)
    others = _steps(seed, -1) if both else steps
    for number in range(8):
        way = others if number % 2 else steps
        yield from [way[0]] * round(5 * FPS)
        yield from way
        yield from [way[-1]] * round(3 * FPS)
        yield from reversed(way)
    yield from [steps[0]] * round(5 * FPS)


def _steps(seed: int, side: int) -> list[Grey]:
    rng = np.random.default_rng(seed)
    who = person(rng)
    while who.mask or who.glasses is not None:
        who = person(rng, who.skin)
    still = scene(
        rng,
        who,
        size=(SIZE[1], SIZE[0]),
        expression="neutral",
        yaw=(-2, 2),
        pitch=(-2, 2),
        roll=(-2, 2),
    )
    still = replace(still, iod=80.0, centre=(0.5, 0.45))
    still = replace(still, level=render(still).level)
    return [
        render(replace(still, yaw=side * _FAR * step / _TURN)).picture for step in range(_TURN + 1)
    ]
