"""Simulated people in front of a camera: faces and frames."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from agent.base.config import AgentConfig
from agent.base.report import Summary
from agent.base.settings_file import parse
from agent.base.types import (
    EXPRESSIONS,
    NOT_ANALYSED,
    Expression,
    Face,
    Landmarks,
    MicroExpression,
    MicroStatus,
    Perceived,
    Pose,
)

MODEL = "0123456789abcdef"
DEAF = {"microphone": False, "words": False}


def config(**privacy: object) -> AgentConfig:
    """The demo profile with 10 s windows by default, deaf."""
    return parse({"privacy": {"policy": "demo", "window": 10, **DEAF, **privacy}}, "test")


def noised(**privacy: object) -> AgentConfig:
    """A laboratory with consent: the noised profile with the shortest windows, deaf."""
    return parse(
        {
            "device": {"place": "laboratory", "region": "other"},
            "privacy": {
                "policy": "research-consented",
                "consent": True,
                "window": 60,
                "k": 3,
                **DEAF,
                **privacy,
            },
        },
        "test",
    )


def answer(shown: str = "neutral", valence: float = 0.0, unsure: bool = False) -> Expression:
    probabilities = np.full(8, 0.02, np.float32)
    probabilities[EXPRESSIONS.index(shown)] = 0.86
    return Expression(probabilities, unsure, valence, 0.1, np.zeros(12, np.float32))


def face(
    track: int,
    attentive: bool = True,
    expression: Expression | None = None,
    size: float = 100.0,
    is_new: bool = True,
    micro: MicroStatus = NOT_ANALYSED,
    at: tuple[float, float] | None = None,
) -> Face:
    """`at`: middle of the box, pixels; None: a place of the track's own."""
    x, y = at or (2000.0 * track, 0.0)
    points = np.full((68, 2), (x, y), np.float32)
    points[45, 0] += size
    return Face(
        track_id=track,
        box=np.array([x - size, y - size, x + size, y + size], np.float32),
        score=0.9,
        landmarks=Landmarks(points, 0.99),
        raw_points=points,
        pose=Pose(0, 0, 0),
        attentive=attentive,
        expression=expression,
        expression_is_new=is_new and expression is not None,
        micro=micro,
    )


@dataclass(frozen=True)
class Person:
    """Somebody in view from `arrives` until just before `leaves`, seconds."""

    track: int
    arrives: float
    leaves: float
    shows: str = "neutral"
    valence: float = 0.0
    attentive: bool = True
    size: float = 100.0
    noisy: bool = False
    micro: tuple[str, ...] = ()
    """Polarities, all at the moment of arrival."""
    path: Callable[[float], tuple[float, float]] | None = None
    """Middle of the face at each second, pixels; None: a place of the track's own."""


def frames(
    people: Iterable[Person],
    end: float,
    fps: float = 30.0,
    picture: tuple[int, int] | None = None,
) -> Iterator[Perceived]:
    """Frames from 0 to `end`, with an expression estimate in every frame. `picture`: its width and
    height, pixels."""
    people = list(people)
    fast = fps >= 24.5
    greeted: set[int] = set()
    for number in range(round(end * fps)):
        time = number / fps
        there = [person for person in people if person.arrives <= time < person.leaves]
        events = [
            MicroExpression(person.track, time, time, time, 0.02, polarity)
            for person in there
            if person.track not in greeted
            for polarity in person.micro
        ]
        greeted.update(person.track for person in there)
        yield Perceived(
            time=time,
            faces=tuple(
                face(
                    p.track,
                    p.attentive,
                    answer(p.shows, p.valence),
                    p.size,
                    micro=status(p, fast),
                    at=p.path(time) if p.path else None,
                )
                for p in there
            ),
            micro=tuple(events),
            size=picture,
        )


def status(person: Person, fast: bool) -> MicroStatus:
    """As the spotter would report it."""
    reason = None
    if not fast:
        reason = "fps_too_low"
    elif person.noisy:
        reason = "too_noisy"
    elif person.size < 40:
        reason = "face_too_small"
    return MicroStatus(reason is None, reason, 0.001)


def reasons(summary: Summary) -> dict[str, str]:
    """Reasons by withheld cell."""
    return {item.cell: item.reason for item in summary.withheld}
