"""The spotter while people talk or sign, with nobody listening and with speech known.

Clips have no sound: *known* means there that a microphone hears speech throughout. Synthetic tracks
know their own speech; a microphone's answer is made of it: the share of the last .3 s, .1 s late.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agent.base.config import MicroConfig
from agent.base.types import MicroExpression
from agent.vision.micro.network import SpotterNetwork
from agent.vision.micro.spotter import MicroSpotter
from tools.bench.micro_images import cases
from tools.bench.micro_images.measure import Options, measure
from tools.common.bootstrap import Resampler
from tools.common.progress import along
from tools.eval.micro.across import tracks
from tools.micro.injection import UPPER
from tools.micro.score import score
from tools.train.micro.generators import GENERATORS
from tools.train.micro.samples import Material

SEEDS = (7, 8, 9)
WINDOW, LATE = 0.3, 0.1
"""Seconds that a microphone's answer is about, and by which it is late."""
NEAR = 0.2
"""Seconds around speech in which a movement counts as beside it."""
KNOWN = {"unknown": None, "known": 1.0}


def clips(seeds: Sequence[int] = SEEDS, seconds: float = 40.0) -> dict[str, Any]:
    """Clips of people who sign or talk, kept out of all training, through the whole pipeline:
    reports a minute with nothing injected, and recall of injected brows and lids."""
    report: dict[str, Any] = {}
    for name, speech in KNOWN.items():
        found = hits = planted = 0
        minutes = 0.0
        for seed in along(seeds, f"clips, speech {name}"):
            options = Options(seconds=seconds, seed=seed, speech=speech)
            _, outcomes = measure(cases.packs(0, len(cases.CLIPS) + 1, 0, seed), options)
            for outcome in outcomes:
                found += len(outcome.still.events)
                minutes += len(outcome.still.time) / (30.0 * 60.0)
                upper = [UPPER.issuperset(p.units) for p in outcome.injected]
                planted += sum(upper)
                hits += sum(upper[k] for k in outcome.hits)
        report[name] = {
            "found": found,
            "minutes": round(minutes, 2),
            "per_minute": round(found / minutes, 2),
            "hits": hits,
            "planted": planted,
            "recall": round(hits / planted, 3),
        }
    return report


def synthetic(network: SpotterNetwork, count: int) -> list[dict[str, Any]]:
    """For each generator `count` minutes of either noise, seeds of their own: what is reported
    beside speech."""
    return [
        {"generator": name} | _beside_speech(network, name, count)
        for name in along(list(GENERATORS), "generators")
    ]


def _beside_speech(network: SpotterNetwork, name: str, count: int) -> dict[str, Any]:
    rows: dict[str, list[tuple[int, int, int, float]]] = {known: [] for known in KNOWN}
    for noise in (0.001, 0.003):
        for track in tracks(name, 30.0, noise, count, events=10):
            spans = track.kinds["speech"]
            minutes = sum(end - start for start, end in spans) / 60.0
            wanted = [UPPER.issuperset(e.units) and beside(e, spans) for e in track.micro]
            for known in KNOWN:
                events = spot(network, track, listening=known == "known")
                scored = score(track.micro, events, 1.0)
                hits = sum(wanted[truth] for truth, _ in scored.pairs)
                false = sum(beside(events[k], spans) for k in scored.false)
                rows[known].append((hits, sum(wanted), false, minutes))
    report: dict[str, Any] = {}
    for known, counts in rows.items():
        hits, planted, false, minutes_spoken = np.array(counts, np.float64).T
        drawn = Resampler(np.arange(len(counts)))
        report[known] = {
            "recall": drawn.ratio(hits, planted).figure(),
            "false_per_minute": drawn.ratio(false, minutes_spoken).figure(),
        }
    return report


def spot(network: SpotterNetwork, track: Material, listening: bool) -> list[MicroExpression]:
    """What the agent's spotter reports of a track whose speech it hears, or does not."""
    spotter, found = MicroSpotter(MicroConfig(), network), []
    heard = microphone(track.timestamps, track.kinds["speech"])
    rows = zip(track.timestamps.tolist(), track.landmarks, track.confidence, heard, strict=True)
    for time, points, confidence, speech in rows:
        face = (0, points, float(confidence))
        found += spotter.update(time, [face], float(speech) if listening else None)[0]
    return found + spotter.finish()


def microphone(
    times: NDArray[np.float64], spans: Sequence[tuple[float, float]]
) -> NDArray[np.float64]:
    """The share of speech float64[T] in `WINDOW` seconds that end `LATE` before each time."""
    end = times - LATE
    share = np.zeros(len(times))
    for start, stop in spans:
        share += np.clip(np.minimum(end, stop) - np.maximum(end - WINDOW, start), 0.0, None)
    return np.minimum(share / WINDOW, 1.0)


def beside(event: Any, spans: Sequence[tuple[float, float]]) -> bool:
    """Whether a movement overlaps speech, or nearly."""
    return any(event.onset - NEAR < end and event.offset + NEAR > start for start, end in spans)
