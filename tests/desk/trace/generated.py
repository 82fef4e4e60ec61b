"""Perceived records from the clip's ground truth, as of a perfect pipeline."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from agent.base.types import (
    EXPRESSIONS,
    Expression,
    Face,
    Landmarks,
    MicroExpression,
    MicroStatus,
    Perceived,
    Pose,
)
from agent.desk.trace.truth import Truth

SHOWS = {"smile": "happiness", "surprise": "surprise", "frown": "anger"}
ENTERING = 1.3
"""Seconds between a visitor's first and last step into view, about."""


def perceived(truth: Truth, fps: float = 30.0) -> Iterator[Perceived]:
    """One record per frame of the whole clip; every planted micro-expression is reported."""
    for number in range(round(truth.duration * fps)):
        time = number / fps
        present = [
            (index, name)
            for index, (name, enter, gone) in enumerate(truth.visitors)
            if enter + ENTERING / 2 <= time <= gone - ENTERING / 2
        ]
        micro = tuple(
            MicroExpression(index, e.onset, e.apex, e.offset, 0.04, e.polarity)
            for index, name in present
            for e in truth.events
            if e.kind == "micro" and e.visitor == name and number == math.ceil(e.offset * fps)
        )
        faces = tuple(_face(truth, index, name, time, number) for index, name in present)
        yield Perceived(time, faces, micro)


def _face(truth: Truth, index: int, name: str, time: float, number: int) -> Face:
    points = np.zeros((68, 2), np.float32) + 100.0 * index
    points[45, 0] += 90
    active = [e for e in truth.events if e.visitor == name and e.onset < time < e.offset]
    probabilities = np.full(8, 0.02, np.float32)
    main = next((SHOWS[e.kind] for e in active if e.kind in SHOWS), "neutral")
    probabilities[EXPRESSIONS.index(main)] = 0.86
    turned = any(e.kind == "turn" for e in active)
    valence = {"happiness": 0.8, "anger": -0.6}.get(main, 0.0)
    units = np.zeros(12, np.float32)
    return Face(
        track_id=index,
        box=np.array([0, 0, 100, 100], np.float32) + 400.0 * index,
        score=0.9,
        landmarks=Landmarks(points, 0.99),
        raw_points=points,
        pose=Pose(30.0 if turned else 0.0, 0.0, 0.0),
        attentive=not turned,
        expression=Expression(probabilities, False, valence, 0.1, units),
        expression_is_new=number % 5 == 0,
        micro=MicroStatus(True, None, 0.001),
    )
