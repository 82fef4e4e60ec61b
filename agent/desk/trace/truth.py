"""The ground truth of the bundled clip, and spotted micro-expressions scored against it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from agent.base.assets import CLIP_SCRIPT
from agent.base.errors import CaptureError


@dataclass(frozen=True, slots=True)
class Planted:
    """One planted movement; times in seconds of the clip."""

    visitor: str
    kind: str
    """smile | surprise | frown | blink | turn | micro."""
    onset: float
    apex: float
    offset: float
    polarity: str
    """Micro-expressions only, else empty."""


@dataclass(frozen=True, slots=True)
class Truth:
    """The clip's script."""

    duration: float
    """Seconds."""
    frames: int
    visitors: tuple[tuple[str, float, float], ...]
    """Name, begins to enter, is gone."""
    events: tuple[Planted, ...]


@dataclass(frozen=True, slots=True)
class Spotted:
    """One movement that the spotter reported; seconds."""

    track_id: int
    onset: float
    apex: float
    offset: float
    polarity: str
    action_units: str = ""
    """Such as `AU01+AU02`."""


@dataclass(frozen=True, slots=True)
class Score:
    """Planted micro-expressions against spotted ones."""

    planted: int
    found: int
    """Planted ones that a spotted one of the same visitor overlaps by half of their union (the
    interval criterion of the Facial Micro-Expression Grand Challenge)."""
    named: int
    """Found ones with the planted polarity."""
    other: int
    """Spotted ones that match nothing planted."""


def load(path: Path | None = None) -> Truth:
    """Read `clip.json`. Raises `CaptureError` where it is missing or damaged."""
    path = path or CLIP_SCRIPT
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        return Truth(
            duration=float(data["duration"]),
            frames=round(data["duration"] * data["fps"]),
            visitors=tuple((v["visitor"], v["enter"], v["gone"]) for v in data["visitors"]),
            events=tuple(
                Planted(
                    each["visitor"],
                    each["kind"],
                    each["onset"],
                    each["apex"],
                    each["offset"],
                    each["details"].get("polarity", ""),
                )
                for each in data["events"]
            ),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CaptureError(
            f"The demo's script {path} cannot be read: {error!r}. Install the package again."
        ) from None


def match_visitors(truth: Truth, spans: dict[int, tuple[float, float]]) -> dict[int, str]:
    """Which visitor each track is: the one with whom it shares most time, each visitor once.

    `spans`: first and last second of every track. Tracks that nobody matches are left out.
    """
    pairs = sorted(
        (
            (_overlap(span, (enter, gone)), track, name)
            for track, span in spans.items()
            for name, enter, gone in truth.visitors
        ),
        reverse=True,
    )
    names: dict[int, str] = {}
    for share, track, name in pairs:
        if share > 0 and track not in names and name not in names.values():
            names[track] = name
    return names


def score(truth: Truth, spotted: Sequence[Spotted], names: dict[int, str]) -> Score:
    """One-to-one, best overlap first."""
    planted = [event for event in truth.events if event.kind == "micro"]
    pairs = sorted(
        (
            (_overlap((a.onset, a.offset), (b.onset, b.offset)), i, j)
            for i, a in enumerate(planted)
            for j, b in enumerate(spotted)
            if names.get(b.track_id) == a.visitor
        ),
        reverse=True,
    )
    match: dict[int, int] = {}
    for share, i, j in pairs:
        if share >= 0.5 and i not in match and j not in match.values():
            match[i] = j
    named = sum(planted[i].polarity == spotted[j].polarity for i, j in match.items())
    return Score(len(planted), len(match), named, len(spotted) - len(match))


def _overlap(a: tuple[float, float], b: tuple[float, float]) -> float:
    """Intersection over union of two intervals."""
    shared = min(a[1], b[1]) - max(a[0], b[0])
    union = max(a[1], b[1]) - min(a[0], b[0])
    return max(shared, 0.0) / union if union > 0 else 0.0
