"""`fleeting spot`: a landmark track through the on-line spotter."""

from __future__ import annotations

import json
import math
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from agent.base.config import MicroConfig
from agent.base.names import one_line
from agent.base.settings_file import parse
from agent.base.types import MicroExpression, MicroStatus
from agent.desk.coding.event import Event
from agent.desk.coding.files import format_of, write_events
from agent.desk.coding.spotted import of_spotter
from agent.desk.spot.table_track import open_track
from agent.desk.spot.track import Track
from agent.desk.spot.validation import Flags, TrackFrame, TrackStats, ordered_frames, validate
from agent.desk.trace.output import check_target
from agent.desk.trace.recorder import event_record
from agent.inference.manifest import load_manifest, models_folder
from agent.privacy.window import POLARITIES
from agent.vision.micro.false_alarms import false_alarm_rate
from agent.vision.micro.network import SpotterNetwork
from agent.vision.micro.outputs import KINDS
from agent.vision.micro.spotter import MicroSpotter

_TICK_INTERVAL = 0.05
"""Seconds between ticks in a gap, so that events are not delayed until the next frame."""
_MAX_TICKS = 20
"""Ticks per gap, after which no event is pending."""
_TRACK_ID = 0
_NO_LANDMARKS = np.zeros((68, 2), np.float32)
"""Placeholder for a lost face, with confidence 0."""
_TABLE_HEADER = "   onset     apex   offset  emitted  score  intensity  polarity     action units"


class Spotting:
    """Runs the spotter on one track and accumulates statistics."""

    def __init__(
        self,
        track: Track,
        stats: TrackStats,
        params: MicroConfig,
        network: SpotterNetwork,
        false_alarms: float | None,
    ) -> None:
        """`false_alarms`: per analysable minute; None where not measured."""
        self._track = track
        self.stats = stats
        self._false_alarms = false_alarms
        self._spotter = MicroSpotter(params, network)
        self.flags = Flags()
        self.found: Counter[str] = Counter()
        """Events by polarity."""
        self.seconds: defaultdict[str, float] = defaultdict(float)
        """Seconds by state: `analysable`, or the reason why not."""
        self._previous_time: float | None = None
        self._noise_seconds = 0.0
        """Seconds in which the noise was measured."""
        self._noise_integral = 0.0

    def events(self) -> Iterator[tuple[TrackFrame | None, list[MicroExpression]]]:
        """Every frame with the events emitted by then; finally None with the pending events."""
        for frame in ordered_frames(self._track, self.flags):
            found = self._tick_until(frame.time)
            points = _NO_LANDMARKS if frame.points is None else frame.points
            events, micro = self._spotter.update(
                frame.time, [(_TRACK_ID, points, frame.confidence)]
            )
            self._account(frame, micro[_TRACK_ID])
            yield frame, self._counted(found + events)
        yield None, self._counted(self._spotter.finish())

    def _tick_until(self, time: float) -> list[MicroExpression]:
        """Advance the spotter through a gap between frames."""
        found: list[MicroExpression] = []
        if self._previous_time is not None:
            for number in range(1, _MAX_TICKS + 1):
                now = self._previous_time + number * _TICK_INTERVAL
                if now >= time:
                    break
                found += self._spotter.tick(now)
        return found

    def _account(self, frame: TrackFrame, micro: MicroStatus) -> None:
        previous, self._previous_time = self._previous_time, frame.time
        if previous is None:
            return
        step = frame.time - previous
        if frame.points is not None and not math.isnan(micro.noise):
            self._noise_seconds += step
            self._noise_integral += step * micro.noise
        if step > self.stats.gap:
            self.flags.add("gap", previous, frame.time, 0)
            self.seconds["gap"] += step
        elif frame.points is None:
            self.seconds["lost"] += step
        else:
            self.seconds[micro.reason or "analysable"] += step

    def _counted(self, found: list[MicroExpression]) -> list[MicroExpression]:
        self.found.update(event.polarity for event in found)
        return found

    def summary(self) -> dict[str, Any]:
        """Statistics of the track as JSON data, once `events` is exhausted."""
        stats = self.stats
        minutes = self.seconds["analysable"] / 60
        reasons = {kind: value for kind, value in self.seconds.items() if kind != "analysable"}
        rate = self._false_alarms
        skipped = {
            k: n for k, n in self.flags.frames.items() if k not in ("lost", "no_face", "gap")
        }
        known = self._noise_seconds
        counts = {"all": sum(self.found.values())} | {p: self.found[p] for p in POLARITIES}
        return {
            "frames": stats.frames,
            "seconds": round(stats.last - stats.first, 3),
            "fps": round(1 / stats.step, 2),
            "events": counts if minutes else None,
            "reason": None if minutes else max(reasons, key=reasons.__getitem__, default=None),
            "analysable_minutes": round(minutes, 4),
            "noise": round(self._noise_integral / known, 5) if known else None,
            "expected_false_alarms": None if rate is None else round(rate * minutes, 2),
            "not_analysable": {kind: round(value, 3) for kind, value in sorted(reasons.items())},
            "rejected": dict.fromkeys(KINDS, 0) | dict(self._spotter.rejected),
            "lost_frames": sum(self.flags.frames.get(kind, 0) for kind in ("lost", "no_face")),
            "skipped_frames": skipped,
            "flagged": [
                {
                    "kind": span.kind,
                    "start": round(span.start, 4),
                    "end": round(span.end, 4),
                    "frames": span.frames,
                }
                for span in sorted(self.flags.spans, key=lambda span: span.start)
            ],
            "flagged_left_out": self.flags.left_out,
            "warnings": list(stats.warnings),
        }


def spot(
    path: Path,
    *,
    as_json: bool,
    render: Path | None,
    threshold: float | None,
    export: Path | None = None,
    fps: float | None = None,
    face: str | None = None,
) -> int:
    """Spot micro-expressions in a landmark track (`open_track`, which `fps` and `face` are for) and
    print them as they are emitted.

    `as_json`: one JSON line per event, and a last line of statistics, in which `events` is null,
    with a `reason`, where nothing was analysable; else a table. `render`: plot to
    write; `export`: file of events (`agent.desk.coding`).

    Raises `TrackError` for an unusable track, `ConfigError` for the threshold, `ModelError` for the
    spotter's weights, `StoreError` for the plot.
    """
    for out in (render, export):
        if out is not None:
            check_target(out)
    if export is not None:
        format_of(export)
    options = {} if threshold is None else {"threshold": threshold}
    params = parse({"micro": options}, "--threshold").micro
    track = open_track(path, fps, face)
    stats = validate(track)
    manifest = load_manifest(models_folder(None))
    network = SpotterNetwork.load(manifest.network("micro").read())
    rate = false_alarm_rate(params, manifest.weights)
    spotting = Spotting(track, stats, params, network, rate)
    drawing = None
    if render is not None:
        from agent.desk.spot.draw import Drawing

        drawing = Drawing(spotting.stats)
    coded: list[Event] = []
    if not as_json:
        print(_TABLE_HEADER)
    for frame, found in spotting.events():
        for event in found:
            print(_json(event_record(event)) if as_json else _row(event), flush=True)
            if export is not None:
                coded.append(of_spotter(event))
        if drawing is not None:
            drawing.add(frame, found)
    summary = spotting.summary()
    print(_json(summary) if as_json else "\n".join(_summary_lines(summary)))
    if drawing is not None and render is not None:
        drawing.write(render, spotting.flags.spans, title=one_line(path.name))
    if export is not None:
        write_events(export, coded, seconds=stats.last)
    return 0


def _json(value: dict[str, Any]) -> str:
    return json.dumps(value, separators=(",", ":"), allow_nan=False)


def _row(event: MicroExpression) -> str:
    times = " ".join(
        f"{each:8.3f}" for each in (event.onset, event.apex, event.offset, event.emitted)
    )
    intensity = f"{100 * event.intensity:.2f} %"
    units = "+".join(event.action_units) or "-"
    return f"{times}  {event.score:5.2f}  {intensity:>9}  {event.polarity:<11}  {units}"


def _summary_lines(summary: dict[str, Any]) -> Iterator[str]:
    """The statistics as text."""
    yield ""
    yield (
        f"{summary['frames']} frames in {summary['seconds']:.1f} s, {summary['fps']:g} per second; "
        f"{summary['analysable_minutes']:.2f} minutes analysable"
        + ("" if summary["noise"] is None else f"; noise at rest {100 * summary['noise']:.2f} %")
    )
    events, expected = summary["events"], summary["expected_false_alarms"]
    if events is None:
        yield f"No micro-expression could be seen: {summary['reason'].replace('_', ' ')}."
    else:
        named = ", ".join(f"{events[p]} {p}" for p in POLARITIES)
        chance = "" if expected is None else f"; {expected:.1f} expected by chance"
        yield f"{events['all']} micro-expressions ({named}){chance}"
    yield from _listed("Not analysable", summary["not_analysable"], "{:.1f} s {}")
    rejected = {kind: count for kind, count in summary["rejected"].items() if count}
    yield from _listed("Other movements", rejected, "{} {}")
    yield from _listed("Frames left out", summary["skipped_frames"], "{} {}")
    for warning in summary["warnings"]:
        yield f"Mind: {warning}."
    yield (
        "Intensity and noise are in per cent of the inter-ocular distance. No figure above F1 0.4 "
        "is credible for micro-expressions on real faces today: an event is an indication, not a "
        "finding."
    )


def _listed(title: str, values: dict[str, float], form: str) -> Iterator[str]:
    if values:
        items = (form.format(value, kind.replace("_", " ")) for kind, value in values.items())
        yield f"{title}: {', '.join(items)}"
