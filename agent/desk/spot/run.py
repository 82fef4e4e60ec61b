"""`fleeting spot`: a landmark track through the same on-line spotter as the camera's faces."""

from __future__ import annotations

import json
import math
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from agent.base.config import MicroConfig, parse
from agent.base.types import MicroExpression, MicroStatus
from agent.desk.spot.track import TrackFile
from agent.desk.spot.validation import Flags, TrackFrame, TrackStats, ordered_frames, validate
from agent.desk.trace.output import check_target
from agent.desk.trace.recorder import event_record
from agent.privacy.window import POLARITIES
from agent.vision.inference.manifest import load_manifest, models_folder
from agent.vision.micro.false_alarms import false_alarm_rate
from agent.vision.micro.network import SpotterNetwork
from agent.vision.micro.outputs import KINDS
from agent.vision.micro.spotter import MicroSpotter

_TICK = 0.05
"""Seconds of a gap after which the spotter is told the time, so that no decision waits for the next
frame."""
_TICKED = 1.0
"""Seconds of a gap in which it is told; by then everything is decided."""
_FACE = 0
"""The track id of the only face."""
_NOWHERE = np.zeros((68, 2), np.float32)
"""Where a lost face is; its confidence of 0 says not to look."""
_HEAD = "   onset     apex   offset  emitted  score  intensity  polarity     action units"


class Spotting:
    """One track's way through the spotter, and the account of its time."""

    def __init__(
        self,
        track: TrackFile,
        stats: TrackStats,
        params: MicroConfig,
        network: SpotterNetwork,
        false_alarms: float | None,
    ) -> None:
        """`false_alarms`: per analysable minute; None where that is not known."""
        self._track = track
        self.stats = stats
        self._false_alarms = false_alarms
        self._spotter = MicroSpotter(params, network)
        self.flags = Flags()
        self.found: Counter[str] = Counter()
        """Events by polarity."""
        self.seconds: defaultdict[str, float] = defaultdict(float)
        """Seconds by what could be seen in them: `analysable`, or why nothing."""
        self._newest: float | None = None
        self._noise: list[float] = [0.0, 0.0]
        """Seconds in which the noise was known, and its sum over them."""

    def events(self) -> Iterator[tuple[TrackFrame | None, list[MicroExpression]]]:
        """Every frame with the movements that became known by then; at the end, None with those
        that only the end decided."""
        for seen in ordered_frames(self._track, self.flags):
            found = self._wait_until(seen.time)
            points = _NOWHERE if seen.points is None else seen.points
            decided, micro = self._spotter.update(seen.time, [(_FACE, points, seen.confidence)])
            self._account(seen, micro[_FACE])
            yield seen, self._counted(found + decided)
        yield None, self._counted(self._spotter.finish())

    def _wait_until(self, time: float) -> list[MicroExpression]:
        """Tell the spotter that time passes without a frame."""
        found: list[MicroExpression] = []
        if self._newest is not None:
            for number in range(1, round(_TICKED / _TICK) + 1):
                now = self._newest + number * _TICK
                if now >= time:
                    break
                found += self._spotter.tick(now)
        return found

    def _account(self, seen: TrackFrame, micro: MicroStatus) -> None:
        newest, self._newest = self._newest, seen.time
        if newest is None:
            return
        step = seen.time - newest
        if seen.points is not None and not math.isnan(micro.noise):
            self._noise[0] += step
            self._noise[1] += step * micro.noise
        if step > self.stats.gap:
            self.flags.add("gap", newest, seen.time, 0)
            self.seconds["gap"] += step
        elif seen.points is None:
            self.seconds["lost"] += step
        else:
            self.seconds[micro.reason or "analysable"] += step

    def _counted(self, found: list[MicroExpression]) -> list[MicroExpression]:
        self.found.update(event.polarity for event in found)
        return found

    def account(self) -> dict[str, Any]:
        """What the last line says; to be asked once `events` is through."""
        seen = self.stats
        minutes = self.seconds["analysable"] / 60
        reasons = {kind: value for kind, value in self.seconds.items() if kind != "analysable"}
        rate = self._false_alarms
        wrong = {k: n for k, n in self.flags.frames.items() if k not in ("lost", "no_face", "gap")}
        return {
            "frames": seen.frames,
            "seconds": round(seen.last - seen.first, 3),
            "fps": round(1 / seen.step, 2),
            "events": self._events() if minutes else None,
            "reason": None
            if minutes
            else max(reasons, key=lambda each: reasons[each], default=None),
            "analysable_minutes": round(minutes, 4),
            "noise": round(self._noise[1] / self._noise[0], 5) if self._noise[0] else None,
            "expected_false_alarms": None if rate is None else round(rate * minutes, 2),
            "not_analysable": {kind: round(value, 3) for kind, value in sorted(reasons.items())},
            "rejected": dict.fromkeys(KINDS, 0) | dict(self._spotter.rejected),
            "lost_frames": sum(self.flags.frames.get(kind, 0) for kind in ("lost", "no_face")),
            "skipped_frames": wrong,
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
            "warnings": list(seen.warnings),
        }

    def _events(self) -> dict[str, int]:
        by_polarity = {polarity: self.found[polarity] for polarity in POLARITIES}
        return {"all": sum(self.found.values()), **by_polarity}


def spot(path: Path, *, as_json: bool, render: Path | None, threshold: float | None) -> int:
    """Spot micro-expressions in a landmark track (`TrackFile`) and print them as they are found.

    With `as_json` every event is one JSON line, in order of emission, and a last line gives counts
    and what could not be analysed; `events` in it is null, with the `reason`, where nothing could.
    Without, the same as a table. `render` draws channels and events.

    Raises `TrackError` for a track that cannot be used, `ConfigError` for a threshold out of
    bounds, `ModelError` for the spotter's weights, `StoreError` for a picture that cannot be
    written.
    """
    if render is not None:
        check_target(render)
    given = {} if threshold is None else {"threshold": threshold}
    params = parse({"micro": given}, "--threshold").micro
    track = TrackFile(path)
    stats = validate(track)
    manifest = load_manifest(models_folder(None))
    network = SpotterNetwork.load(manifest.network("micro").read())
    rate = false_alarm_rate(params, manifest.weights)
    spotting = Spotting(track, stats, params, network, rate)
    drawing = None
    if render is not None:
        from agent.desk.spot.draw import Drawing

        drawing = Drawing(spotting.stats)
    if not as_json:
        print(_HEAD)
    for seen, found in spotting.events():
        for event in found:
            print(_json(event_record(event)) if as_json else _row(event), flush=True)
        if drawing is not None:
            drawing.add(seen, found)
    account = spotting.account()
    print(_json(account) if as_json else "\n".join(_words(account)))
    if drawing is not None and render is not None:
        drawing.write(render, spotting.flags.spans, title=path.name)
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


def _words(account: dict[str, Any]) -> Iterator[str]:
    """The last line for people."""
    yield ""
    yield (
        f"{account['frames']} frames in {account['seconds']:.1f} s, {account['fps']:g} per second; "
        f"{account['analysable_minutes']:.2f} minutes analysable"
        + ("" if account["noise"] is None else f"; noise at rest {100 * account['noise']:.2f} %")
    )
    events, expected = account["events"], account["expected_false_alarms"]
    if events is None:
        yield f"No micro-expression could be seen: {account['reason'].replace('_', ' ')}."
    else:
        named = ", ".join(f"{events[p]} {p}" for p in POLARITIES)
        chance = "" if expected is None else f"; {expected:.1f} expected by chance"
        yield f"{events['all']} micro-expressions ({named}){chance}"
    yield from _listed("Not analysable", account["not_analysable"], "{:.1f} s {}")
    rejected = {kind: count for kind, count in account["rejected"].items() if count}
    yield from _listed("Other movements", rejected, "{} {}")
    yield from _listed("Frames left out", account["skipped_frames"], "{} {}")
    for warning in account["warnings"]:
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
