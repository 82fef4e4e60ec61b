"""A queue at one spot, without pictures: how many people geometry takes for one, by `visit_gap`."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import numpy as np

from agent.base.config import PrivacyConfig
from agent.base.types import Face, Landmarks, Perceived, Pose
from agent.privacy.visits import VisitBook

GAPS = (2.0, 10.0, 15.0, 20.0, 30.0)
"""Seconds of `visit_gap`."""
WAYS = {
    "walk in and out in view": (True, True),
    "walk in, turn away to leave": (True, False),
    "turn round, walk out in view": (False, True),
    "turn round, turn away to leave": (False, False),
}
"""Whether people are seen to come from the edge, and to leave over it."""
_FPS = 10.0
_PICTURE = (640, 480)
_SIZE = 100.0
"""Of a face, pixels."""
_PACE = 200.0
"""Pixels per second."""


def measure(people: int = 200, seed: int = 1) -> list[dict[str, Any]]:
    """One row per way to come and go: visits by `visit_gap`. Stays of 5 s and more, 30 s on
    average; the next is there 2 to 20 s after."""
    rows = []
    for name, (comes, goes) in WAYS.items():
        visits = {gap: VisitBook(PrivacyConfig(visit_gap=gap)) for gap in GAPS}
        counts = dict.fromkeys(GAPS, 0)
        for frame in _frames(people, comes, goes, random.Random(seed)):
            for gap, book in visits.items():
                counts[gap] += sum(not each.passing for each in book.update(frame, 0))
        for gap, book in visits.items():
            counts[gap] += sum(not each.passing for each in book.finish())
        rows.append({"way": name, "people": people, "visits": [counts[gap] for gap in GAPS]})
    return rows


def _frames(people: int, comes: bool, goes: bool, rng: random.Random) -> Iterator[Perceived]:
    clock = 0
    walk = round(_PICTURE[0] / 2 / _PACE * _FPS)
    for track in range(people):
        stands = round(_FPS * (5 + rng.expovariate(1 / 25)))
        path = [0.0] * stands
        if comes:
            path = [_PACE * (n - walk) / _FPS for n in range(walk)] + path
        if goes:
            path += [_PACE * n / _FPS for n in range(1, walk)]
        for shift in path:
            x = _PICTURE[0] / 2 + shift + rng.gauss(0, 1)
            yield Perceived(clock / _FPS, (_face(track, x),), size=_PICTURE)
            clock += 1
        # The next has come 2 to 20 s after this one is no longer at the spot.
        pause = round(_FPS * rng.uniform(2, 20)) - (walk if goes else 0) - (walk if comes else 0)
        for _ in range(max(pause, 1)):
            yield Perceived(clock / _FPS, (), size=_PICTURE)
            clock += 1


def _face(track: int, x: float) -> Face:
    half = _SIZE / 2
    points = np.zeros((68, 2), np.float32)
    return Face(
        track_id=track,
        box=np.array([x - half, 240 - half, x + half, 240 + half], np.float32),
        score=0.9,
        landmarks=Landmarks(points, 1.0),
        raw_points=points,
        pose=Pose(0, 0, 0),
        attentive=True,
        expression=None,
    )
