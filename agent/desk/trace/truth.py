"""Ground truth of the bundled clip, and scoring of spotted micro-expressions."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from agent.base.assets import CLIP_SCRIPT
from agent.base.errors import CaptureError


@dataclass(frozen=True, slots=True)
class Planted:
    """One ground-truth movement; seconds of the clip."""

    visitor: str
    kind: str
    """smile | surprise | frown | blink | turn | micro."""
    onset: float
    apex: float
    offset: float
    polarity: str
    """For micro-expressions, else empty."""


@dataclass(frozen=True, slots=True)
class Truth:
    """Ground truth of the clip."""

    duration: float
    """Seconds."""
    frames: int
    visitors: tuple[tuple[str, float, float], ...]
    """Name, start of entering, end of leaving (seconds)."""
    events: tuple[Planted, ...]


@dataclass(frozen=True, slots=True)
class Spotted:
    """One event of the spotter; seconds."""

    track_id: int
    onset: float
    apex: float
    offset: float
    polarity: str
    action_units: str = ""
    """Such as `AU01+AU02`."""


@dataclass(frozen=True, slots=True)
class Score:
    """Spotting result against the ground truth."""

    planted: int
    found: int
    """Planted events with a spotted one of the same visitor at IoU >= 0.5 (the interval criterion
    of the Facial Micro-Expression Grand Challenge)."""
    named: int
    """Found events with the right polarity."""
    other: int
    """Spotted events without a match."""


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
    """One-to-one matching of tracks to visitors by temporal IoU, best first.

    `spans`: first and last second of each track. Tracks without a match are omitted.
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
    """One-to-one matching by IoU, best first."""
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
