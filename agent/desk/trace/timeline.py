"""Timeline of expressions and micro-expressions as PNG; for files only, not live cameras."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agent.base.types import EXPRESSIONS, Float
from agent.desk.trace import heard
from agent.desk.trace.output import write_figure
from agent.desk.trace.recorder import TraceRecorder
from agent.desk.trace.truth import Spotted, Truth, match_visitors

COLOURS = {
    "neutral": "#d9dde2",
    "happiness": "#f4b53f",
    "surprise": "#a06cc9",
    "sadness": "#4c86c6",
    "anger": "#d8504d",
    "disgust": "#5ba36b",
    "fear": "#2f6f7e",
    "contempt": "#a97c50",
}
POLARITIES = {
    "positive": "#e08a00",
    "negative": "#c0392b",
    "surprise": "#7d3fb0",
    "unspecified": "#555b63",
}
LANES = 6
"""Greatest number of tracks drawn, the longest ones."""
_LANE_TOP = 1.42
_TRUTH_Y, _SPOTTED_Y = 1.12, 1.29
"""Rows of markers above a lane's probabilities."""


@dataclass(frozen=True, slots=True, eq=False)
class Lane:
    """One track over N frames, by time in seconds."""

    track_id: int
    name: str
    """Matched visitor of the ground truth, or empty."""
    time: NDArray[np.float64]
    expression: Float
    """float32[N, 8], `EXPRESSIONS` order; NaN before the first result."""
    unsure: NDArray[np.bool_]
    valence: Float
    """float32[N] in [-1, 1]; NaN before the first result."""
    attentive: NDArray[np.bool_]
    micro: tuple[Spotted, ...]


def lanes(recorder: TraceRecorder, truth: Truth | None = None) -> list[Lane]:
    """The tracks of a recording, by first appearance."""
    trace = recorder.arrays()
    spotted = spotted_events(trace)
    tracks = np.unique(trace["track_id"])
    rows = {int(track): np.flatnonzero(trace["track_id"] == track) for track in tracks}
    spans = {t: (float(trace["time"][r[0]]), float(trace["time"][r[-1]])) for t, r in rows.items()}
    names = match_visitors(truth, spans) if truth else {}
    found = [
        Lane(
            track,
            names.get(track, ""),
            trace["time"][at],
            trace["expression"][at],
            trace["unsure"][at],
            trace["valence"][at],
            trace["attentive"][at],
            tuple(each for each in spotted if each.track_id == track),
        )
        for track, at in rows.items()
    ]
    return sorted(found, key=lambda lane: float(lane.time[0]))


def spotted_events(trace: dict[str, NDArray[Any]]) -> list[Spotted]:
    """The micro-expressions of a trace."""
    return [
        Spotted(int(row[0]), float(row[1]), float(row[2]), float(row[3]), str(polarity), str(units))
        for row, polarity, units in zip(
            trace["micro"], trace["micro_polarity"], trace["micro_action_units"], strict=True
        )
    ]


def draw_trace(
    recorder: TraceRecorder, out: Path, *, title: str, truth: Truth | None = None
) -> None:
    """Draw expression, valence, attention and micro-expressions per track as PNG, and below them
    speech, tones, words and fused class where the recording has any.

    With `truth`, what was planted is drawn beside what was read. Raises `StoreError`.
    """
    every = lanes(recorder, truth)
    drawn = sorted(every, key=lambda lane: len(lane.time), reverse=True)[:LANES]
    drawn.sort(key=lambda lane: float(lane.time[0]))
    omitted = len(every) - len(drawn)
    more = f" ({omitted} shorter tracks not drawn)" if omitted else ""
    write_figure(_figure(drawn, recorder, title + more, truth), out)


def _end(drawn: list[Lane], recorder: TraceRecorder) -> float:
    """The last second that anything was perceived at."""
    times = [float(lane.time[-1]) for lane in drawn]
    for readings in (recorder.tones, recorder.words, recorder.fused):
        times += [each.time for each in readings]
    times += [time for time, _ in recorder.activity[-1:]]
    return max(times, default=1.0)


def _figure(drawn: list[Lane], recorder: TraceRecorder, title: str, truth: Truth | None) -> Any:
    # no warning about a home that is not writable: a temporary folder is used
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    # imported here: loading Matplotlib takes a second
    from matplotlib.figure import Figure

    count = max(len(drawn), 1)
    panels = [heard.draw_voice] * heard.has_voice(recorder)
    panels += [heard.draw_words] * heard.has_words(recorder)
    rows = [1.3] * count + [1.0] * len(panels) + [1.0]
    below = 0.24 if panels else 0.0
    figure = Figure(
        figsize=(12.0, 2.3 + below + 1.35 * count + 1.05 * len(panels)), dpi=110, facecolor="white"
    )
    axes = figure.subplots(len(rows), 1, sharex=True, gridspec_kw={"height_ratios": rows})
    for axis, lane in zip(axes, drawn, strict=False):
        _draw_lane(axis, lane, truth)
    if not drawn:
        axes[0].text(0.5, 0.5, "no face was seen", ha="center", transform=axes[0].transAxes)
        axes[0].set_yticks([])
    for axis, panel in zip(axes[count:], panels, strict=False):
        panel(axis, recorder, truth)
    _draw_valence(axes[-1], drawn)
    axes[-1].set_xlim(0, max(truth.duration if truth else _end(drawn, recorder), 1e-3))
    axes[-1].set_xlabel("seconds")
    for axis in axes:
        axis.spines[["top", "right"]].set_visible(False)
    figure.suptitle(title, parse_math=False, x=0.075, ha="left", fontsize=13, fontweight="bold")
    _legend(figure, truth is not None, heard.legend_handles(recorder))
    inch = 1 / figure.get_figheight()
    figure.subplots_adjust(
        left=0.075, right=0.985, top=1 - 0.5 * inch, bottom=(1.15 + below) * inch, hspace=0.16
    )
    return figure


def _draw_lane(axis: Any, lane: Lane, truth: Truth | None) -> None:
    known = np.isfinite(lane.valence)
    if known.any():
        axis.stackplot(
            lane.time[known], lane.expression[known].T, colors=list(COLOURS.values()), lw=0
        )
        axis.fill_between(
            lane.time, 0, 1, where=lane.unsure & known, step="mid", fc="white", alpha=0.6, lw=0
        )
    for start, stop in _spans(lane.time, np.ones(len(lane.time), bool)):
        axis.hlines(-0.11, start, stop, color="#dfe5ea", lw=5)
    for start, stop in _spans(lane.time, lane.attentive):
        axis.hlines(-0.11, start, stop, color="#2b8a5b", lw=5)
    if truth:
        _draw_truth(axis, lane, truth)
    for spot in lane.micro:
        colour = POLARITIES.get(spot.polarity, "#555b63")
        axis.hlines(_SPOTTED_Y, spot.onset, spot.offset, color=colour, lw=2)
        axis.plot(spot.apex, _SPOTTED_Y, marker="D", ms=6, color=colour, clip_on=False)
        axis.annotate(
            short_units(spot.action_units), (spot.apex, _SPOTTED_Y), (0, 5), color=colour,
            textcoords="offset points", ha="center", va="bottom", fontsize=7,
        )  # fmt: skip
    axis.set_ylim(-0.2, _LANE_TOP)
    axis.set_yticks([0, 0.5, 1], ["0", "", "1"])
    label = f"{lane.name} visitor" if lane.name else f"track {lane.track_id}"
    axis.set_ylabel(label, fontsize=9)


def _draw_truth(axis: Any, lane: Lane, truth: Truth) -> None:
    for event in truth.events:
        if event.visitor != lane.name or event.kind == "blink":
            continue
        if event.kind == "micro":
            colour = POLARITIES.get(event.polarity, "#555b63")
            axis.hlines(_TRUTH_Y, event.onset, event.offset, color=colour, lw=2)
            axis.plot(event.apex, _TRUTH_Y, marker="D", ms=6, mfc="white", mec=colour, mew=1.5)
        else:
            axis.hlines(_TRUTH_Y, event.onset, event.offset, color="#30363d", lw=1)
            axis.text(
                (event.onset + event.offset) / 2, _TRUTH_Y + 0.04, event.kind,
                ha="center", va="bottom", fontsize=8, color="#30363d",
            )  # fmt: skip


def _draw_valence(axis: Any, drawn: list[Lane]) -> None:
    axis.axhline(0, color="#b8bec5", lw=0.8)
    for index, lane in enumerate(drawn):
        style = ("#1f4e79", "#c05621", "#2f855a", "#6b46c1", "#97266d", "#4a5568")[index % LANES]
        axis.plot(lane.time, lane.valence, color=style, lw=1.6, label=lane.name or lane.track_id)
    axis.set_ylim(-1.05, 1.05)
    axis.set_yticks([-1, 0, 1])
    axis.set_ylabel("valence", fontsize=9)
    if drawn:
        axis.legend(loc="lower left", ncols=LANES, fontsize=8, frameon=False, handlelength=1.2)


def _legend(figure: Any, planted: bool, heard_too: list[Any]) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    areas = [Patch(color=colour, label=name) for name, colour in COLOURS.items()]
    areas.append(Patch(fc="#f7e2bb", label="pale: unsure"))
    marks: list[Any] = [
        Line2D([], [], color="#2b8a5b", lw=5, label="facing the camera"),
        Line2D([], [], color="#dfe5ea", lw=5, label="looking away"),
    ]
    marks += [
        Line2D([], [], color=colour, marker="D", lw=2, label=f"micro, {name}")
        for name, colour in POLARITIES.items()
    ]
    if planted:
        marks.append(
            Line2D([], [], color="#555b63", marker="D", mfc="white", lw=2, label="hollow: planted")
        )
    style = {"fontsize": 8, "frameon": False, "handlelength": 1.4, "columnspacing": 1.2}
    height = 0.24 / figure.get_figheight()
    for row, handles in enumerate(filter(None, (heard_too, marks, areas))):
        figure.legend(
            handles=handles, loc="lower center", ncols=len(handles),
            bbox_to_anchor=(0.53, row * height), **style,
        )  # fmt: skip


def short_units(action_units: str) -> str:
    """`AU01+AU02` -> `1+2`, the notation of FACS coders."""
    return "+".join(each.removeprefix("AU").lstrip("0") for each in action_units.split("+"))


def _spans(time: NDArray[np.float64], where: NDArray[np.bool_]) -> list[tuple[float, float]]:
    """Spans in which `where` holds, split at gaps of more than 0.5 s."""
    at = np.flatnonzero(where)
    if not len(at):
        return []
    cuts = np.flatnonzero((np.diff(at) > 1) | (np.diff(time[at]) > 0.5)) + 1
    return [(float(time[part[0]]), float(time[part[-1]])) for part in np.split(at, cuts)]


assert tuple(COLOURS) == EXPRESSIONS
