"""Movements of known time and size injected into pictures, through the whole pipeline.

Each face is filmed twice with the same grain: with movements and without. The first gives recall
and precision, the second false alarms, and the two together how much of each movement the
landmarks kept, so that one can tell whether stabiliser or spotter lost it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from agent.base.config import AgentConfig
from agent.base.settings_file import load
from tools.bench.micro_images.cases import Case
from tools.bench.micro_images.run import Seen, in_memory, pictures, replayed
from tools.bench.micro_images.tracking_gain import Kept, kept
from tools.common.errors import ToolError
from tools.common.files import npz, save_atomically
from tools.common.machine import machine
from tools.micro.injection import UPPER, Injection, schedule, truth_of
from tools.micro.score import Scored, pooled, score


@dataclass(frozen=True, slots=True)
class Options:
    """Options of a measurement."""

    seconds: float = 40.0
    amplitudes: tuple[float, ...] = (0.02, 0.03, 0.04)
    """Inter-ocular distances."""
    seed: int = 1
    codec: str | None = None
    """Through a video file of this codec and `fleeting replay` instead of in memory."""
    config: Path | None = None
    keep: Path | None = None
    """Folder for one npz of landmarks and truth per video."""
    still: bool = False
    """Inject nothing: false alarms alone."""
    speech: float | None = None
    """What a microphone says throughout; None: there is none."""


@dataclass(slots=True, eq=False)
class Outcome:
    """One face with and without movements."""

    case: Case
    injected: list[Injection]
    seen: Seen
    still: Seen
    scored: Scored
    kept: list[Kept]
    raw: list[Kept]
    iod: float
    """Median distance of the outer eye corners as tracked, pixels; NaN where no face was seen."""
    hits: set[int] = field(default_factory=set)
    """Places in `injected` that were found."""


Progress = Callable[[Outcome, float], None]


def measure(
    cases: Sequence[Case], options: Options, progress: Progress | None = None
) -> tuple[dict[str, Any], list[Outcome]]:
    """The report (figures only) and what it was made from. Raises `ToolError`."""
    if not cases:
        raise ToolError("There is no face to inject movements into: name a video or the packs.")
    outcomes = []
    for place, case in enumerate(cases):
        started = time.perf_counter()
        outcomes.append(_outcome(case, options, options.seed * 1000 + place))
        if progress:
            progress(outcomes[-1], time.perf_counter() - started)
    return report(outcomes, options), outcomes


def _outcome(case: Case, options: Options, seed: int) -> Outcome:
    injected = schedule(np.random.default_rng(seed), options.seconds, options.amplitudes)
    if options.still:
        injected = []
    elif not injected:
        raise ToolError("No movement fits into the video: ask for more than 5 seconds.")
    config = load(options.config) if options.config else AgentConfig()

    def through(movements: list[Injection]) -> Seen:
        frames = pictures(case.source, options.seconds, movements, case.noise, seed)
        if options.codec:
            return replayed(frames, options.codec, options.config)
        return in_memory(frames, config, options.speech)

    # The resting twin first: rendered faces keep its pictures.
    still = through([])
    seen = through(injected) if injected else still
    scored = score(injected, seen.events, seen.seconds / 60.0)

    def all_kept(name: str) -> list[Kept]:
        one, other, way = getattr(seen, name), getattr(still, name), case.source.direction
        return [kept(seen.time, one, still.time, other, p, way(p)) for p in injected]

    apart = seen.landmarks[:, 45] - seen.landmarks[:, 36]
    iod = float(np.median(np.hypot(apart[:, 0], apart[:, 1]))) if len(apart) else float("nan")
    hits = {truth for truth, _ in scored.pairs}
    out = Outcome(
        case, injected, seen, still, scored, all_kept("landmarks"), all_kept("raw"), iod, hits
    )
    if options.keep:
        _keep(out, options.keep)
    return out


def _keep(outcome: Outcome, folder: Path) -> None:
    """`NAME.npz` and `NAME-still.npz`: the tracks as `fleeting spot` reads them, with the truth."""
    folder.mkdir(parents=True, exist_ok=True)
    name = f"{outcome.case.source.name} {outcome.case.noise:g}".replace(" ", "-").replace("/", "-")
    o = outcome
    twins = ((o.seen, o.injected, ""),) if o.injected else ()
    for seen, injected, end in (*twins, (o.still, [], "-still")):
        found = [(e.onset, e.apex, e.offset) for e in seen.events]
        arrays: dict[str, Any] = {
            "timestamps": seen.time,
            "landmarks": seen.landmarks,
            "raw": seen.raw,
            "confidence": seen.confidence,
            "found": np.array(found).reshape(-1, 3),
            "kind": np.array(o.case.source.kind),
        }
        save_atomically(folder / f"{name}{end}.npz", npz(arrays | truth_of(injected)))


def report(outcomes: Sequence[Outcome], options: Options) -> dict[str, Any]:
    """Everything measured, as plain figures."""
    rows = list(_events(outcomes))
    return {
        "what": "planted micro-expressions in pictures",
        "machine": machine(),
        "peer": None,
        "seconds": options.seconds,
        "seed": options.seed,
        "speech": options.speech,
        "through": f"fleeting replay, {options.codec} video"
        if options.codec
        else "Pipeline, in memory",
        "pooled": pooled([o.scored for o in outcomes]),
        "by": {
            key: _grouped(rows, key)
            for key in ("kind", "region", "amplitude", "units", "size", "noise", "ratio")
        },
        "still": {
            kind: _still([o for o in outcomes if o.case.source.kind == kind])
            for kind in sorted({o.case.source.kind for o in outcomes})
        },
        "videos": [_video(o) for o in outcomes],
    }


def _events(outcomes: Sequence[Outcome]) -> Iterator[dict[str, Any]]:
    for o in outcomes:
        for place, (p, k, raw) in enumerate(zip(o.injected, o.kept, o.raw, strict=True)):
            ratio = p.amplitude * k.gain / k.noise if k.noise > 0 else float("nan")
            yield {
                "kind": o.case.source.kind,
                "region": f"{o.case.source.kind}, {region(p.units)}",
                "amplitude": f"{p.amplitude * 100:g} %",
                "units": "+".join(p.units),
                "size": _class(o.iod, (0, 50, 70, 90, 110, 140), "px"),
                "noise": f"{o.case.noise:g} grey levels",
                "ratio": _class(ratio, (0, 3, 6.5, 13, 20, 30), "x noise"),
                "hit": place in o.hits,
                "gain": k.gain,
                "raw": raw.gain,
                "correlation": k.correlation,
                "lag": k.lag,
            }


def region(units: Sequence[str]) -> str:
    """Where a movement is: `brows and lids` or `mouth`."""
    return "brows and lids" if UPPER.issuperset(units) else "mouth"


def _class(value: float, edges: Sequence[float], unit: str) -> str:
    if not np.isfinite(value):
        return "not seen"
    place = int(np.searchsorted(edges, max(value, edges[0]), side="right")) - 1
    if place + 1 == len(edges):
        return f"{edges[-1]:g}+ {unit}"
    return f"{edges[place]:g}-{edges[place + 1]:g} {unit}"


def _grouped(rows: Sequence[dict[str, Any]], key: str) -> list[dict[str, Any]]:
    names = sorted({row[key] for row in rows}, key=_order)
    out = []
    for name in names:
        part = [row for row in rows if row[key] == name]
        out.append(
            {
                key: name,
                "n": len(part),
                "recall": round(float(np.mean([row["hit"] for row in part])), 3),
                "gain": median([row["gain"] for row in part]),
                "gain_network": median([row["raw"] for row in part]),
                "correlation": median([row["correlation"] for row in part]),
                "lag": median([row["lag"] for row in part], 4),
            }
        )
    return out


def _order(name: str) -> tuple[float, str]:
    head = name.replace("+", "-").split("-")[0].split(" ")[0]
    try:
        return float(head), name
    except ValueError:
        return float("inf"), name


def median(values: Sequence[float], digits: int = 3) -> float | None:
    """Of those that are numbers; None where there are none."""
    known = [v for v in values if np.isfinite(v)]
    return round(float(np.median(known)), digits) if known else None


def _still(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """False alarms where nothing was injected."""
    minutes = sum(len(o.still.time) for o in outcomes) / (30.0 * 60.0)
    found = sum(len(o.still.events) for o in outcomes)
    return {
        "videos": len(outcomes),
        "minutes": round(minutes, 2),
        "found": found,
        "moments": sum(_moments(o) for o in outcomes),
        "per_minute": round(found / minutes, 2) if minutes else None,
    }


def _moments(o: Outcome) -> int:
    """Alarms at rest, those at the same place of repeated material counted once."""
    at = sorted(o.case.source.moment(e.apex) for e in o.still.events)
    return len(at) - sum(later - earlier < 0.1 for earlier, later in pairwise(at))


def _video(o: Outcome) -> dict[str, Any]:
    return {
        "name": o.case.source.name,
        "kind": o.case.source.kind,
        "located": o.case.source.located,
        "iod": round(o.iod, 1) if np.isfinite(o.iod) else None,
        "noise": o.case.noise,
        "planted": len(o.injected),
        "found": len(o.seen.events),
        "hits": len(o.hits),
        "still_found": len(o.still.events),
        "still_moments": _moments(o),
        "seen": round(len(o.seen.time) / (o.seen.seconds * 30.0), 3),
        "gain": median([k.gain for k in o.kept]),
        "gain_network": median([k.gain for k in o.raw]),
        "noise_iod": median([k.noise for k in o.kept], 5),
        "noise_iod_network": median([k.noise for k in o.raw], 5),
    }
