"""Ground truth of the bundled clip, and what was perceived against it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from agent.base.assets import CLIP_SCRIPT
from agent.base.errors import CaptureError
from agent.base.types import SENTIMENTS, TONES, UNSURE, Tally, Tone, Words

_READING = 3.0
"""Seconds before its time that a tone is read from, about."""
_LATE = 2.0
"""Seconds between a line and its reading, at most."""


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
class Speech:
    """One planted stretch of speech; seconds of the clip."""

    start: float
    end: float
    tone: str
    """Of `TONES`."""
    belongs: str
    """visit: one face is in view; room: none, or several."""


@dataclass(frozen=True, slots=True)
class Line:
    """One planted line of a chat."""

    time: float
    line: str
    sentiment: str
    """Of `SENTIMENTS`."""


@dataclass(frozen=True, slots=True)
class Truth:
    """Ground truth of the clip."""

    duration: float
    """Seconds."""
    frames: int
    visitors: tuple[tuple[str, float, float], ...]
    """Name, start of entering, end of leaving (seconds)."""
    events: tuple[Planted, ...]
    speech: tuple[Speech, ...] = ()
    words: tuple[Line, ...] = ()


@dataclass(frozen=True, slots=True)
class Comparison:
    """What was read of one planted stretch or line."""

    start: float
    end: float
    """Seconds; of what was read where nothing was planted."""
    planted: str
    """Tone or sentiment; empty: nothing was planted here."""
    read: str
    """As released of a visit: the dominant class of its readings, or `UNSURE`; empty: none."""
    readings: int
    belongs: str
    """visit | room, as planted; empty: not planted."""
    owner: str
    """visit | room | both, as read; empty: there were no readings."""

    @property
    def right(self) -> bool:
        return bool(self.planted) and self.read == self.planted


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
            speech=tuple(
                Speech(each["start"], each["end"], each["tone"], each["belongs"])
                for each in data["speech"]
            ),
            words=tuple(
                Line(each["time"], each["line"], each["sentiment"]) for each in data["words"]
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


def compare_tones(truth: Truth, tones: Sequence[Tone]) -> list[Comparison]:
    """One row per planted stretch, with the readings that share most time with it; then one per
    reading that shares none with any."""
    readings: list[list[Tone]] = [[] for _ in truth.speech]
    stray = []
    for tone in tones:
        shared = [
            min(tone.time, each.end) - max(tone.time - _READING, each.start)
            for each in truth.speech
        ]
        best = max(range(len(shared)), key=shared.__getitem__, default=-1)
        if best >= 0 and shared[best] > 0:
            readings[best].append(tone)
        else:
            stray.append(tone)
    return [
        _compared(each.start, each.end, each.tone, each.belongs, found, TONES)
        for each, found in zip(truth.speech, readings, strict=True)
    ] + [_compared(each.time - each.seconds, each.time, "", "", [each], TONES) for each in stray]


def compare_words(truth: Truth, words: Sequence[Words]) -> list[Comparison]:
    """One row per planted line, with the first reading from its time on that no earlier line has;
    then one per reading without a line."""
    left = sorted(words, key=lambda each: each.time)
    rows = []
    for line in sorted(truth.words, key=lambda each: each.time):
        # a line may be handed over a frame early
        found = [each for each in left if -0.1 <= each.time - line.time <= _LATE][:1]
        left = [each for each in left if each not in found]
        owner = "visit" if _alone(truth, line.time) else "room"
        rows.append(_compared(line.time, line.time, line.sentiment, owner, found, SENTIMENTS))
    return rows + [_compared(each.time, each.time, "", "", [each], SENTIMENTS) for each in left]


def _alone(truth: Truth, time: float) -> bool:
    return sum(enter <= time <= gone for _, enter, gone in truth.visitors) == 1


def _compared(
    start: float,
    end: float,
    planted: str,
    belongs: str,
    readings: Sequence[Tone] | Sequence[Words],
    classes: tuple[str, ...],
) -> Comparison:
    tally = Tally.of(len(classes))
    for each in readings:
        tally.add(each.probabilities, each.label)
    read = (*classes, UNSURE)[tally.dominant] if readings else ""
    owners = {"room" if each.track_id is None else "visit" for each in readings}
    owner = "both" if len(owners) > 1 else "".join(owners)
    return Comparison(start, end, planted, read, len(readings), belongs, owner)


def _overlap(a: tuple[float, float], b: tuple[float, float]) -> float:
    """Intersection over union of two intervals."""
    shared = min(a[1], b[1]) - max(a[0], b[0])
    union = max(a[1], b[1]) - min(a[0], b[0])
    return max(shared, 0.0) / union if union > 0 else 0.0
