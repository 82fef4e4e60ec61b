"""The benchmark's conditions (noise, frame rate, distractors), and the scoring of one track."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tools.bench.micro.baselines import peers
from tools.bench.micro.ours import Ours
from tools.bench.micro.subject import Found, Subject
from tools.micro.generator_config import SHIFTED, GeneratorConfig
from tools.micro.score import Scored, overlaps, score
from tools.micro.tracks import Track, make

NOISES = (0.001, 0.002, 0.003, 0.005, 0.008)
SLOWEST = 25.0
"""Frames per second: fewer are refused by the agent, and tried here nevertheless."""
_NEAR = 0.12
"""Seconds around a false alarm in which its cause is looked for."""
FALLS = ("near miss", "macro", "speech", "blink", "tracker", "gaze", "head", "nothing")
"""What a false alarm can fall on; the first that applies."""


@dataclass(frozen=True, slots=True)
class Condition:
    """One cell of the benchmark."""

    noise: float = 0.003
    fps: float = 30.0
    distractors: float = 1.0
    events: int = 6
    shifted: bool = False
    """Tracks of `tools.micro.config.SHIFTED`."""


@dataclass(frozen=True, slots=True)
class Row:
    """One track, one method."""

    condition: Condition
    subject: str
    seed: int
    scored: Scored
    hits: tuple[tuple[float, bool], ...]
    """Amplitude (IOD) and whether it was found, of every true micro-expression."""
    falls: Counter[str]
    latencies: tuple[float, ...]
    """Emission minus offset, seconds, of every prediction."""
    frames: int
    cpu: float
    analysed: float
    units: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...]
    """True and named action units of the hits."""


def conditions(quick: bool) -> list[Condition]:
    """All cells, each once."""
    if quick:
        found = [Condition(noise, fps) for fps in (30.0, 60.0) for noise in (0.001, 0.003)]
        return [*found, Condition(events=0)]
    found = [Condition(noise, fps) for fps in (30.0, 60.0) for noise in NOISES]
    found += [Condition(fps=fps) for fps in (15.0, 25.0, 120.0)]
    found += [Condition(distractors=0.0), Condition(distractors=2.0), Condition(shifted=True)]
    return [*found, *(Condition(noise, events=0) for noise in (0.001, 0.003))]


def run_track(
    condition: Condition, seed: int, with_peers: bool, weights: Path | None = None
) -> list[Row]:
    """Every method on one track; `weights` as `Ours` takes them."""
    track = make(
        seed,
        fps=condition.fps,
        noise=condition.noise,
        events=condition.events,
        distractors=condition.distractors,
        config=SHIFTED if condition.shifted else GeneratorConfig(),
    )
    slow = condition.fps < SLOWEST
    subjects: list[Subject] = [Ours(weights, 0.8 * condition.fps if slow else None)]
    subjects += peers() if with_peers else []
    return [_row(condition, seed, track, subject) for subject in subjects]


def _row(condition: Condition, seed: int, track: Track, subject: Subject) -> Row:
    answer = subject(track.timestamps, track.landmarks, track.confidence)
    scored = score(track.micro, answer.found, track.seconds / 60)
    taken = {truth for truth, _ in scored.pairs}
    return Row(
        condition=condition,
        subject=subject.name,
        seed=seed,
        scored=scored,
        hits=tuple((event.amplitude, k in taken) for k, event in enumerate(track.micro)),
        falls=Counter(falls_on(answer.found[k], track) for k in scored.false),
        latencies=tuple(f.emitted - f.offset for f in answer.found if np.isfinite(f.emitted)),
        frames=len(track.timestamps),
        cpu=answer.cpu,
        analysed=answer.analysed,
        units=tuple((track.micro[t].units, answer.found[p].units) for t, p in scored.pairs),
    )


def falls_on(found: Found, track: Track) -> str:
    """Movement or corruption under a false alarm: one of `FALLS`."""
    begin, end = found.onset - _NEAR, found.offset + _NEAR

    def inside(spans: Sequence[tuple[float, float]]) -> bool:
        return any(b < end and e > begin for b, e in spans)

    def during(times: Sequence[float]) -> bool:
        return inside([(t, t) for t in times])

    if track.micro and overlaps(track.micro, [found]).max() > 0:
        return "near miss"
    if inside([(e.onset, e.offset) for e in track.macro]):
        return "macro"
    if inside(track.speech):
        return "speech"
    if inside([(e.onset, e.offset) for e in track.blinks]):
        return "blink"
    if during([*track.restarts, *track.glitches, *track.light]):
        return "tracker"
    if inside(track.gaze):
        return "gaze"
    return "head" if inside(track.head) else "nothing"
