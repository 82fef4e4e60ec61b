"""Plot of facial channels and spotted events as PNG."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agent.base.types import Float, MicroExpression
from agent.desk.spot.validation import Span, TrackFrame, TrackStats
from agent.desk.trace.output import write_figure
from agent.desk.trace.timeline import POLARITIES, short_units
from agent.vision.micro.channels import CHANNEL_NAMES, face_channels

_WIDTH = 1400
"""Columns, about one per pixel; a column spans the least to the greatest value of its frames."""
_MIN_RANGE, _MAX_RANGE = 0.015, 0.05
"""Bounds of a lane's half range around the channel's median, inter-ocular distances."""
_MAX_EVENTS = 5000
_MAX_LABELS = 60


_SIGNS = np.array([1 if name.endswith("_x") else -1 for name in CHANNEL_NAMES], np.float32)
"""Vertical channels are positive downwards, but plotted upwards."""


class Drawing:
    """Accumulates the channels of a track of any length in a fixed number of columns."""

    def __init__(self, stats: TrackStats) -> None:
        self._stats = stats
        self._columns = min(_WIDTH, stats.frames)
        shape = (self._columns, len(CHANNEL_NAMES))
        self._low = np.full(shape, np.inf, np.float32)
        self._high = np.full(shape, -np.inf, np.float32)
        self._events: list[MicroExpression] = []
        self._omitted = 0

    def add(self, frame: TrackFrame | None, found: Sequence[MicroExpression]) -> None:
        """Add one frame and the events emitted with it."""
        room = _MAX_EVENTS - len(self._events)
        self._events += found[:room]
        self._omitted += max(0, len(found) - room)
        if frame is None or frame.points is None:
            return
        first, last = self._stats.first, self._stats.last
        share = (frame.time - first) / max(last - first, 1e-9)
        column = min(int(share * self._columns), self._columns - 1)
        values = face_channels(frame.points) * _SIGNS
        np.minimum(self._low[column], values, out=self._low[column])
        np.maximum(self._high[column], values, out=self._high[column])

    def write(self, out: Path, spans: Sequence[Span], *, title: str) -> None:
        """Write the plot, atomically. Raises `StoreError`."""
        write_figure(self._figure(spans, title), out)

    def lanes(self) -> tuple[NDArray[np.float64], Float, Float]:
        """Times float64[N] of the columns with frames, and their least and greatest values
        float32[N, C], inter-ocular distances from the channel's median; NaN rows mark gaps."""
        first, last = self._stats.first, self._stats.last
        filled = np.flatnonzero(np.isfinite(self._low[:, 0]))
        times = first + (filled + 0.5) * (last - first) / self._columns
        low, high = self._low[filled], self._high[filled]
        middle = np.median((low + high) / 2, axis=0) if len(filled) else np.float32(0)
        # plus the width of a column, in which frames may lie anywhere
        max_step = self._stats.gap + (last - first) / self._columns
        cuts = np.flatnonzero(np.diff(times) > max_step) + 1
        return (
            np.insert(times, cuts, times[cuts - 1]),
            np.insert(low - middle, cuts, np.nan, axis=0),
            np.insert(high - middle, cuts, np.nan, axis=0),
        )

    def _figure(self, spans: Sequence[Span], title: str) -> Any:
        # no warning about a home that is not writable: a temporary folder is used
        logging.getLogger("matplotlib").setLevel(logging.ERROR)
        from matplotlib.figure import Figure
        from matplotlib.ticker import FuncFormatter, MaxNLocator

        figure = Figure(figsize=(14.0, 2.0 + 0.4 * len(CHANNEL_NAMES)), dpi=110, facecolor="white")
        axis = figure.subplots()
        half_range = self._draw_channels(axis)
        first, last = self._stats.first, max(self._stats.last, self._stats.first + 1e-3)
        min_width = 2 * (last - first) / _WIDTH
        floor = -len(CHANNEL_NAMES) + 0.5
        for span in spans:
            axis.axvspan(
                span.start, max(span.end, span.start + min_width), ymax=0.95,
                fc="#eceff2", ec="#9aa3ad", hatch="////", lw=0, alpha=0.7, zorder=0,
            )  # fmt: skip
        self._draw_events(axis, min_width, floor, last - first)
        axis.set_xlim(first, last)
        axis.set_ylim(floor, 1.6)
        names = [name.replace("_", " ") for name in CHANNEL_NAMES]
        axis.set_yticks(range(0, -len(names), -1), names, fontsize=8)
        axis.spines[["top", "right", "left"]].set_visible(False)
        axis.tick_params(axis="y", length=0)
        if last - first > 600:
            axis.xaxis.set_major_locator(MaxNLocator(12, steps=[1, 1.2, 1.8, 3, 6, 10]))
            axis.xaxis.set_major_formatter(FuncFormatter(_clock))
            axis.set_xlabel("minutes : seconds")
        else:
            axis.set_xlabel("seconds")
        count = len(self._events) + self._omitted
        more = f", the first {len(self._events)} drawn" if self._omitted else ""
        whole = f"{title}: {count} micro-expressions{more}"
        figure.suptitle(whole, parse_math=False, x=0.02, ha="left", fontsize=12)
        axis.set_title(
            f"a lane is ±{100 * half_range:.1f} % of the inter-ocular distance",
            loc="right",
            fontsize=8,
        )
        _legend(figure)
        inch = 1 / figure.get_figheight()
        figure.subplots_adjust(left=0.115, right=0.985, top=1 - 0.55 * inch, bottom=0.8 * inch)
        return figure

    def _draw_channels(self, axis: Any) -> float:
        """Draw all lanes; return their half range, inter-ocular distances."""
        times, low, high = self.lanes()
        with np.errstate(invalid="ignore"):
            extent = np.maximum(np.abs(low), np.abs(high))
        known = extent[np.isfinite(extent)]
        wide = float(np.percentile(known, 98)) if known.size else 0.0
        half_range = min(max(wide, _MIN_RANGE), _MAX_RANGE)
        for lane in range(len(CHANNEL_NAMES)):
            bottom = np.clip(low[:, lane] / half_range, -1, 1) * 0.48 - lane
            top = np.clip(high[:, lane] / half_range, -1, 1) * 0.48 - lane
            axis.axhline(-lane, color="#e3e7eb", lw=0.6, zorder=1)
            axis.fill_between(times, bottom, top, color="#1f4e79", alpha=0.55, lw=0, zorder=3)
            axis.plot(times, (bottom + top) / 2, color="#1f4e79", lw=0.7, zorder=3)
        return half_range

    def _draw_events(self, axis: Any, min_width: float, floor: float, seconds: float) -> None:
        labels = len(self._events) <= _MAX_LABELS
        for polarity, colour in POLARITIES.items():
            events = [event for event in self._events if event.polarity == polarity]
            bars = [(event.onset, max(event.offset - event.onset, min_width)) for event in events]
            axis.broken_barh(bars, (floor, 0.6 - floor), fc=colour, alpha=0.35, lw=0, zorder=2)
            axis.plot(
                [event.apex for event in events], [0.75] * len(events),
                ls="", marker="D", ms=5 if labels else 3, color=colour, zorder=4,
            )  # fmt: skip
        ends = [-np.inf] * 3
        for event in sorted(self._events, key=lambda event: event.apex) if labels else ():
            # the first of three rows without overlap
            row = next((r for r in range(3) if event.apex > ends[r]), 0)
            text = short_units("+".join(event.action_units))
            ends[row] = event.apex + (len(text) + 1) * 0.0045 * seconds
            axis.text(
                event.apex, 0.92 + 0.2 * row, text, ha="center", fontsize=7,
                color=POLARITIES[event.polarity],
            )  # fmt: skip


def _clock(seconds: float, _: object) -> str:
    sign = "-" if seconds < 0 else ""
    return f"{sign}{int(abs(seconds)) // 60}:{int(abs(seconds)) % 60:02d}"


def _legend(figure: Any) -> None:
    from matplotlib.patches import Patch

    handles = [Patch(fc=colour, alpha=0.5, label=name) for name, colour in POLARITIES.items()]
    handles.append(
        Patch(fc="#eceff2", ec="#9aa3ad", hatch="////", lw=0, label="lost, gap, wrong time")
    )
    figure.legend(
        handles=handles, loc="lower left", ncols=len(handles), bbox_to_anchor=(0.1, 0.0),
        fontsize=8, frameon=False, handlelength=1.4, columnspacing=1.4,
    )  # fmt: skip
