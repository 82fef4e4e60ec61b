"""Area under the curve by noise, its level and the room; false alarms; processor time."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agent.base.types import Float
from agent.inference.manifest import Manifest
from agent.voice.activity import Activity
from agent.voice.frames import Frames, measure
from agent.voice.sound import RATE
from tools.common.bootstrap import Draws, Resampler, beside
from tools.common.machine import machine
from tools.common.progress import along
from tools.eval.activity import peers
from tools.eval.activity.noises import UNSEEN
from tools.eval.card import OURS
from tools.eval.ours import Ours
from tools.train.activity import streams, teacher, voices
from tools.train.activity.noises import KINDS, babble
from tools.train.voice import room

SNR = (-5.0, 0.0, 5.0, 10.0, 15.0, 20.0)
"""dB."""
SECONDS = 40.0
TALKS = 2
"""Streams of each kind of noise."""
CHUNK = 10
"""Frames that come in at once."""
ROOMS = (0.3, 0.6, 1.0)
"""Reverberation times, seconds."""
ROOM_SNR = 15.0
SEED = 4711
_BINS = 512
SILERO, WEBRTC, ENERGY = "Silero", "WebRTC", "energy"
SILERO_ABOVE, WEBRTC_ABOVE = 0.5, 4.0
"""From where these call a frame speech: as Silero's authors advise; WebRTC's most careful mode."""
Noise = Callable[[np.random.Generator, int], Any]


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """One stream and what everybody says of its frames."""

    kind: str
    snr: float | None
    talk: int
    known: NDArray[np.bool_]
    """bool[N]: speech by the level of the clean speech."""
    told: NDArray[np.bool_]
    """bool[N]: speech by Silero's answer to the clean speech."""
    scores: Mapping[str, Float]
    """float32[N] by detector."""
    spoken: NDArray[np.bool_]
    """bool[N]: ours, with its thresholds."""


def noise_kinds(others: Sequence[Float]) -> dict[str, Noise]:
    """All kinds by name; `others`: voices of people who do not speak in the foreground."""
    return {
        **UNSEEN,
        **KINDS,
        "babble": lambda rng, count: babble(rng, count, others),
        "assorted": lambda rng, count: room.noise(rng, count, list(others)),
    }


def evaluate(ours: Ours, limit: int | None) -> dict[str, Any]:
    """The report; `limit`: seconds of each stream."""
    seconds = float(limit or SECONDS)
    people = voices.of("research", valid=True)
    kinds = noise_kinds(people[1::2])
    missing = _missing()
    activity = Activity(ours.manifest)
    scenes: list[Scene] = []
    alone: list[Scene] = []
    rooms: dict[float, list[Scene]] = {each: [] for each in ROOMS}
    for number, (kind, noise) in enumerate(along(list(kinds.items()), "noises")):
        talks, quiet = [], []
        for k in range(TALKS):
            rng = np.random.default_rng([SEED, number, k])
            talks.append(streams.talk(rng, people[0::2], seconds, varied=False))
            quiet.append(_unit(noise(rng, len(talks[-1].sound))))
        talked = teacher.answers([each.sound for each in talks])
        truth = [
            (each.spoken > 0.5, teacher.at_frames(told, len(each.spoken)) > 0.5)
            for each, told in zip(talks, talked, strict=True)
        ]
        levels: list[float | None] = [*SNR, None] if number == 0 else list(SNR)
        for snr in levels:
            sounds = [streams.mixed(a, b, snr) for a, b in zip(talks, quiet, strict=True)]
            name = "none" if snr is None else kind
            scenes += _scenes(name, snr, number, sounds, truth, activity, missing)
        nothing = [(np.zeros_like(a), np.zeros_like(b)) for a, b in truth]
        loud = [np.float32(streams.LEVEL) * each for each in quiet]
        alone += _scenes(kind, None, number, loud, nothing, activity, missing)
        if kind in UNSEEN:
            for reverberation, found in rooms.items():
                rng = np.random.default_rng([SEED, number, 77])
                far = [streams.reverberant(rng, each, reverberation) for each in talks]
                sounds = [streams.mixed(a, b, ROOM_SNR) for a, b in zip(far, quiet, strict=True)]
                found += _scenes(kind, ROOM_SNR, number, sounds, truth, activity, missing)
    report = figures(scenes, alone, rooms)
    return report | {
        "machine": machine(),
        "seconds": seconds,
        "talks": TALKS,
        "chunk": CHUNK,
        "onset": activity.onset,
        "offset": activity.offset,
        "room_snr": ROOM_SNR,
        "unseen": list(UNSEEN),
        "file": ours.file_figures("activity"),
        "time": processor_time(ours.manifest, people[0::2]),
        "missing": missing,
    }


def _missing() -> dict[str, str]:
    try:
        import webrtcvad  # noqa: F401
    except ModuleNotFoundError:
        return {WEBRTC: "webrtcvad-wheels is not installed"}
    return {}


def _scenes(
    kind: str,
    snr: float | None,
    number: int,
    sounds: Sequence[Float],
    truth: Sequence[tuple[NDArray[np.bool_], NDArray[np.bool_]]],
    activity: Activity,
    missing: Mapping[str, str],
) -> list[Scene]:
    found = []
    for k, (sound, told, (known, heard)) in enumerate(
        zip(sounds, peers.silero(sounds), truth, strict=True)
    ):
        frames = measure(sound)
        activity.reset()
        own = stream(activity, frames)
        scores = {OURS: own, SILERO: told, ENERGY: peers.energy(frames)}
        if WEBRTC not in missing:
            scores[WEBRTC] = peers.webrtc(sound)
        spoken = activity.spoken(own)
        found.append(Scene(kind, snr, number * TALKS + k, known, heard, scores, spoken))
    return found


def stream(activity: Activity, frames: Frames, chunk: int = CHUNK) -> Float:
    """As the agent hears: so many frames at a time."""
    parts = [activity(some(frames, at, at + chunk)) for at in range(0, len(frames), chunk)]
    return np.concatenate(parts)


def some(frames: Frames, start: int, stop: int) -> Frames:
    """Frames from `start` to before `stop`."""
    return Frames(*(getattr(frames, field.name)[start:stop] for field in fields(frames)))


def _unit(noise: Any) -> Float:
    return np.asarray(noise / (np.std(noise) + 1e-12), np.float32)


def figures(
    scenes: Sequence[Scene], alone: Sequence[Scene], rooms: Mapping[float, Sequence[Scene]]
) -> dict[str, Any]:
    """All tables."""
    levels = list(dict.fromkeys(each.snr for each in scenes))

    def at(snr: float | None, unseen: bool | None = None) -> list[Scene]:
        return [
            each for each in scenes
            if each.snr == snr and (unseen is None or (each.kind in UNSEEN) == unseen)
        ]  # fmt: skip

    kinds = dict.fromkeys(each.kind for each in scenes if each.snr is not None)
    return {
        "snr": [
            {
                "snr": snr,
                "level": curves(at(snr), "known"),
                "silero": curves(at(snr), "told"),
                "unseen": curves(at(snr, True), "known") if snr is not None else {},
            }
            for snr in levels
        ],
        "kinds": [
            {
                "kind": kind,
                "unseen": kind in UNSEEN,
                **{
                    f"{snr:g}": curves(
                        [each for each in scenes if (each.kind, each.snr) == (kind, snr)], "known"
                    )
                    for snr in (0.0, 10.0)
                },
            }
            for kind in kinds
        ],
        "rooms": [
            {"seconds": seconds, "level": curves(found, "known")}
            for seconds, found in rooms.items()
        ],
        "alone": [_alone(kind, [e for e in alone if e.kind == kind]) for kind in kinds],
        "decisions": [_decisions(snr, at(snr)) for snr in levels],
    }


def curves(scenes: Sequence[Scene], truth: str) -> dict[str, dict[str, Any]]:
    """Area under the curve of each detector, frames of all streams together; intervals over
    streams drawn again, differences paired."""
    resampler = Resampler([each.talk for each in scenes], 400)
    return beside({name: _area(resampler, scenes, name, truth) for name in scenes[0].scores}, OURS)


def _area(resampler: Resampler, scenes: Sequence[Scene], name: str, truth: str) -> Draws:
    joined = np.concatenate([each.scores[name] for each in scenes])
    edges = np.unique(np.quantile(joined, np.linspace(0, 1, _BINS + 1)[1:-1]))
    rows = np.zeros((len(scenes), 2 * (len(edges) + 1)))
    for row, each in zip(rows, scenes, strict=True):
        place = np.searchsorted(edges, each.scores[name], "right")
        side = getattr(each, truth)[: len(place)].astype(np.int64) * (len(edges) + 1)
        row += np.bincount(place + side, minlength=len(row))

    def area(sums: NDArray[np.float64]) -> NDArray[np.float64]:
        noise, speech = np.split(sums, 2, axis=1)
        below = np.cumsum(noise, 1) - noise / 2
        return np.asarray((speech * below).sum(1) / (speech.sum(1) * noise.sum(1)))

    return resampler.statistic(rows, area, len(joined))


def _alone(kind: str, scenes: Sequence[Scene]) -> dict[str, Any]:
    """Minutes an hour that are taken for speech where there is none."""
    told = {
        OURS: [each.spoken for each in scenes],
        SILERO: [each.scores[SILERO] >= SILERO_ABOVE for each in scenes],
    }
    if WEBRTC in scenes[0].scores:
        told[WEBRTC] = [each.scores[WEBRTC] >= WEBRTC_ABOVE for each in scenes]
    return {
        "kind": kind,
        "unseen": kind in UNSEEN,
        "minutes_per_hour": {
            name: round(60 * float(np.concatenate(parts).mean()), 2) for name, parts in told.items()
        },
    }


def _decisions(snr: float | None, scenes: Sequence[Scene]) -> dict[str, Any]:
    """Frames of speech found, and others taken for speech, with the thresholds."""
    known = np.concatenate([each.known for each in scenes])
    told = {
        OURS: np.concatenate([each.spoken for each in scenes]),
        SILERO: np.concatenate([each.scores[SILERO] >= SILERO_ABOVE for each in scenes]),
    }
    return {
        "snr": snr,
        **{
            name: {
                "hit": round(float(each[known].mean()), 4),
                "false": round(float(each[~known].mean()), 4),
            }
            for name, each in told.items()
        },
    }


def processor_time(
    manifest: Manifest, people: Sequence[Float], rounds: int = 7
) -> dict[str, float]:
    """Least processor milliseconds for a second of talk: the features, ours, and Silero."""
    rng = np.random.default_rng(1)
    sound = streams.talk(rng, people, 20.0, varied=False).sound
    frames = measure(sound)
    activity = Activity(manifest)
    tasks: dict[str, Callable[[], object]] = {
        "features": lambda: measure(sound),
        "activity": lambda: stream(activity, frames),
        "silero": lambda: teacher.answers([sound]),
    }
    least = dict.fromkeys(tasks, float("inf"))
    for _ in range(rounds):
        for name, task in tasks.items():
            start = time.process_time()
            task()
            least[name] = min(least[name], time.process_time() - start)
    return {name: round(1e3 * each / (len(sound) / RATE), 3) for name, each in least.items()}
