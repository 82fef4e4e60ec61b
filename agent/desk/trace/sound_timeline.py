"""Timeline of one sound file as PNG: level, speech, pitch, tone, arousal and valence."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agent.base.types import TONES, UNSURE, Float, Tone
from agent.desk.trace.heard import TONE_COLOURS, spans
from agent.desk.trace.output import write_figure

_COLUMNS = 3000
"""Points drawn of a curve at most; longer ones are summed up."""
_FLOOR = -90.0
"""dB, the lowest level drawn."""
_SPEECH = 0.5
"""Probability from which a frame is shaded as speech."""

_SHADE = "#dceee4"
_GAP = 3.0
"""Seconds between readings from which no line joins them."""


@dataclass(frozen=True, slots=True, eq=False)
class SoundTrace:
    """One file, N frames of 10 ms."""

    time: NDArray[np.float64]
    """float64[N], seconds, ascending."""
    level: Float
    """float32[N], dB below full scale."""
    speech: Float
    """float32[N], probability of speech."""
    pitch: Float | None = None
    """float32[N], Hz, 0 where unvoiced; None: not drawn."""
    tones: Sequence[Tone] = ()


def draw_sound(trace: SoundTrace, out: Path, *, title: str) -> None:
    """Draw the file as PNG. Raises `StoreError`."""
    write_figure(_figure(trace, title), out)


def _figure(trace: SoundTrace, title: str) -> Any:
    # no warning about a home that is not writable: a temporary folder is used
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    # imported here: loading Matplotlib takes a second
    from matplotlib.figure import Figure

    panels = [_draw_level]
    panels += [_draw_pitch] * (trace.pitch is not None)
    panels += [_draw_tones, _draw_affect]
    figure = Figure(figsize=(12.0, 1.2 + 1.45 * len(panels)), dpi=110, facecolor="white")
    axes = figure.subplots(len(panels), 1, sharex=True)
    for axis, panel in zip(axes, panels, strict=True):
        panel(axis, trace)
        axis.spines[["top", "right"]].set_visible(False)
    last = max([float(trace.time[-1]) if len(trace.time) else 0.0, *(t.time for t in trace.tones)])
    axes[-1].set_xlim(0, max(last, 1e-3))
    axes[-1].set_xlabel("seconds")
    figure.suptitle(title, parse_math=False, x=0.075, ha="left", fontsize=13, fontweight="bold")
    inch = 1 / figure.get_figheight()
    figure.subplots_adjust(
        left=0.075, right=0.985, top=1 - 0.5 * inch, bottom=0.6 * inch, hspace=0.16
    )
    return figure


def _draw_level(axis: Any, trace: SoundTrace) -> None:
    """Loudest level, over the frames that are speech."""
    time = _shortened(trace.time, np.min)
    speech = _shortened(trace.speech, np.max)
    level = np.maximum(_shortened(trace.level, np.max), _FLOOR)
    loud = np.concatenate([[0], (speech >= _SPEECH).astype(np.int8), [0]])
    begins, ends = np.flatnonzero(np.diff(loud) > 0), np.flatnonzero(np.diff(loud) < 0)
    # a point stands for the time to the next; at least a pixel wide
    edges = np.append(time, trace.time[-1:])
    widths = np.maximum(edges[ends] - edges[begins], np.ptp(edges) / 1000 if len(time) else 0.0)
    axis.broken_barh(
        list(zip(edges[begins], widths, strict=True)), (0, 1), color=_SHADE, lw=0,
        transform=axis.get_xaxis_transform(),
    )  # fmt: skip
    axis.plot(time, level, color="#30363d", lw=0.8)
    low = float(level.min()) if len(level) else _FLOOR
    axis.set_ylim(min(low, -60.0) - 3, 3)
    axis.set_ylabel("level, dB", fontsize=9)
    _legend(axis, [(_SHADE, "speech")])


def _draw_pitch(axis: Any, trace: SoundTrace) -> None:
    assert trace.pitch is not None
    time, pitch = _shortened(trace.time, np.min), _shortened(trace.pitch, np.max)
    axis.plot(time[pitch > 0], pitch[pitch > 0], ".", color="#1f4e79", ms=2)
    axis.set_yscale("log", base=2)
    axis.set_yticks([75, 150, 300, 600], ["75", "150", "300", "600"])
    axis.set_ylim(60, 620)
    axis.set_ylabel("pitch, Hz", fontsize=9)


def _draw_tones(axis: Any, trace: SoundTrace) -> None:
    """Stacked probabilities, pale where unsure."""
    for start, end, tone in spans(trace.tones):
        below = 0.0
        for name, share in zip(TONES, tone.probabilities, strict=True):
            axis.broken_barh(
                [(start, end - start)], (below, float(share)), fc=TONE_COLOURS[name], lw=0
            )
            below += float(share)
        if tone.label == UNSURE:
            axis.broken_barh([(start, end - start)], (0, 1), fc="white", alpha=0.6, lw=0)
    axis.set_ylim(0, 1)
    axis.set_yticks([0, 0.5, 1], ["0", "", "1"])
    axis.set_ylabel("tone", fontsize=9)
    _legend(axis, [(TONE_COLOURS[name], name) for name in TONES] + [("#f7e2bb", "pale: unsure")])


def _legend(axis: Any, areas: Sequence[tuple[str, str]]) -> None:
    """Above the panel, at its right: colour and label of each."""
    from matplotlib.patches import Patch

    handles = [Patch(color=colour, label=label) for colour, label in areas]
    axis.legend(
        handles=handles, loc="lower right", bbox_to_anchor=(1.0, 0.97), ncols=len(handles),
        fontsize=8, frameon=False, handlelength=1.2, borderpad=0.1,
    )  # fmt: skip


def _draw_affect(axis: Any, trace: SoundTrace) -> None:
    axis.axhline(0, color="#b8bec5", lw=0.8)
    tones = sorted(trace.tones, key=lambda tone: tone.time)
    time = np.array([tone.time for tone in tones], np.float64)
    # no line through what was silent
    gaps = np.flatnonzero(np.diff(time) > _GAP) + 1
    time = np.insert(time, gaps, np.nan)
    for name, colour in (("arousal", "#c05621"), ("valence", "#1f4e79")):
        values = np.insert([float(getattr(tone, name)) for tone in tones], gaps, np.nan)
        axis.plot(time, values, color=colour, lw=1.4, marker="o", ms=3, label=name)
    axis.set_ylim(-1.05, 1.05)
    axis.set_yticks([-1, 0, 1])
    axis.set_ylabel("affect", fontsize=9)
    axis.legend(loc="lower left", ncols=2, fontsize=8, frameon=False, handlelength=1.2)


def _shortened(values: NDArray[Any], reduce: Callable[..., Any]) -> NDArray[Any]:
    """At most `_COLUMNS` values: each of them `reduce` over as many neighbours."""
    group = -(-len(values) // _COLUMNS)
    if group <= 1:
        return values
    whole = np.pad(values, (0, -len(values) % group), mode="edge").reshape(-1, group)
    return np.asarray(reduce(whole, axis=1))
