"""Panels of what was heard and read, under the faces' lanes of a timeline."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from agent.base.types import SENTIMENTS, TONES, UNSURE, Fused, Tone
from agent.desk.trace.recorder import TraceRecorder
from agent.desk.trace.truth import Truth

TONE_COLOURS = {
    "neutral": "#8d97a3",
    "happy": "#f4b53f",
    "angry": "#d8504d",
    "sad": "#4c86c6",
    UNSURE: "#e9edf0",
}
SENTIMENT_COLOURS = {
    "negative": "#c0392b",
    "neutral": "#8d97a3",
    "positive": "#2b8a5b",
    UNSURE: "#e9edf0",
}
_FUSED = 1.0
"""Seconds that a fused reading is drawn back from its time, at most."""
_READ, _PLANTED = 1.24, 1.6
"""Rows of readings and of the truth above the activity of speech."""
_WORDS, _TOGETHER = 1.0, 0.0


def has_voice(recorder: TraceRecorder) -> bool:
    """Whether there is anything for `draw_voice`."""
    return bool(recorder.tones or recorder.activity)


def has_words(recorder: TraceRecorder) -> bool:
    """Whether there is anything for `draw_words`."""
    return bool(recorder.words or recorder.fused)


def draw_voice(axis: Any, recorder: TraceRecorder, truth: Truth | None) -> None:
    """Probability of speech, the tones read above it, and above them those planted."""
    if recorder.activity:
        time, probability = np.array(recorder.activity, np.float64).T
        axis.fill_between(time, 0, probability, color="#c9d3dc", lw=0)
    for start, end, tone in spans(recorder.tones):
        _bar(axis, start, end, _READ, TONE_COLOURS.get(tone.label, TONE_COLOURS[UNSURE]))
        axis.plot(
            tone.time, _READ, marker="o" if tone.track_id is not None else "s", ms=4,
            mfc="white", mec="#30363d", mew=0.8, clip_on=False,
        )  # fmt: skip
    for each in truth.speech if truth else ():
        colour = TONE_COLOURS[each.tone]
        _bar(axis, each.start, each.end, _PLANTED, "white", colour)
        axis.text(
            (each.start + each.end) / 2, _PLANTED, f"{each.tone}, {each.belongs}",
            ha="center", va="center", fontsize=7, color="#30363d",
        )  # fmt: skip
    axis.set_ylim(-0.05, 1.85 if truth and truth.speech else 1.5)
    axis.set_yticks([0, 1], ["0", "1"])
    axis.set_ylabel("voice", fontsize=9)


def draw_words(axis: Any, recorder: TraceRecorder, truth: Truth | None) -> None:
    """Sentiment of each line, and what the channels said together of each face."""
    for line in truth.words if truth else ():
        axis.plot(
            line.time, _WORDS + 0.5, marker="D", ms=6, mfc="white", mew=1.5, clip_on=False,
            mec=SENTIMENT_COLOURS[line.sentiment],
        )  # fmt: skip
    for each in recorder.words:
        colour = SENTIMENT_COLOURS.get(each.label, SENTIMENT_COLOURS[UNSURE])
        axis.plot(each.time, _WORDS, marker="D", ms=6, color=colour, mec="#30363d", mew=0.5)
    tracks = sorted({each.track_id for each in recorder.fused})
    for track in tracks:
        own = [each for each in recorder.fused if each.track_id == track]
        for start, end, fused in spans(own):
            colour = SENTIMENT_COLOURS.get(fused.label, SENTIMENT_COLOURS[UNSURE])
            # faces beside each other in time share the row; those at once do not
            _bar(axis, start, end, _TOGETHER - 0.25 * (tracks.index(track) % 2), colour, high=0.22)
    axis.set_ylim(-0.6, 1.8)
    axis.set_yticks([_TOGETHER, _WORDS], ["together", "words"], fontsize=8)


def spans(readings: Sequence[Tone] | Sequence[Fused]) -> list[tuple[float, float, Any]]:
    """Start, end and reading: from the one before to its own time, no longer than what it was read
    from."""
    out: list[tuple[float, float, Any]] = []
    before = -np.inf
    ordered: list[Tone | Fused] = sorted(readings, key=_time)
    for each in ordered:
        longest = each.seconds if isinstance(each, Tone) else _FUSED
        out.append((max(before, each.time - longest), each.time, each))
        before = each.time
    return out


def _time(reading: Tone | Fused) -> float:
    return reading.time


def legend_handles(recorder: TraceRecorder) -> list[Any]:
    """Patches and markers for the panels that are drawn."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles: list[Any] = []
    if has_voice(recorder):
        handles += [Patch(color=TONE_COLOURS[name], label=f"voice {name}") for name in TONES]
        for marker, owner in (("o", "of the face in view"), ("s", "of the room")):
            handles.append(
                Line2D([], [], marker=marker, mfc="white", mec="#30363d", lw=0, label=owner)
            )
    if has_words(recorder):
        handles += [Patch(color=SENTIMENT_COLOURS[name], label=name) for name in SENTIMENTS]
    if handles:
        handles.append(Patch(fc=TONE_COLOURS[UNSURE], ec="#b8bec5", label=UNSURE))
    return handles


def _bar(
    axis: Any, start: float, end: float, y: float, fill: str, edge: str = "none", high: float = 0.26
) -> None:
    line = 1.4 if edge != "none" else 0
    axis.broken_barh([(start, end - start)], (y - high / 2, high), fc=fill, ec=edge, lw=line)
