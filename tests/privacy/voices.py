"""Synthetic readings of voices and words."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import jsonschema
import numpy as np

from agent.base.config import AgentConfig
from agent.base.report import HeardSummary, to_json
from agent.base.schemas import registry as schemas
from agent.base.types import SENTIMENTS, TONES, UNSURE, Float, Fused, Perceived, Said, Tone, Words
from agent.privacy.policy.rules import resolve
from agent.privacy.releaser import Released, Releaser
from tests.privacy.people import MODEL, config, noised

ON = {"microphone": True, "words": True}


def listening(**privacy: Any) -> AgentConfig:
    """`people.config`, with microphone and words on."""
    return config(**{**ON, **privacy})


def listening_noised(**privacy: Any) -> AgentConfig:
    return noised(**{**ON, **privacy})


def likely(classes: tuple[str, ...], label: str) -> Float:
    """float32[N]: .7 for the label; equal shares for `UNSURE`."""
    probabilities = np.full(len(classes), 0.3 / (len(classes) - 1), np.float32)
    if label == UNSURE:
        probabilities[:] = 1 / len(classes)
    else:
        probabilities[classes.index(label)] = 0.7
    return probabilities


def tone(
    time: float,
    label: str = "happy",
    track: int | None = None,
    seconds: float = 3.0,
    valence: float = 0.5,
    arousal: float = -0.25,
) -> Tone:
    return Tone(time, seconds, arousal, valence, likely(TONES, label), label, track)


def words(time: float, label: str = "positive", track: int | None = None) -> Words:
    return Words(time, likely(SENTIMENTS, label), label, track)


def fused(
    time: float, label: str = "positive", track: int = 1, channels: tuple[str, ...] = ("face",)
) -> Fused:
    return Fused(time, likely(SENTIMENTS, label), label, frozenset(channels), track)


def everything_said() -> list[Said | None]:
    """What a visit may have said, at and beyond the limits of each range."""
    found: list[Said | None] = [None]
    for seconds in (0.0, 0.1, 4.9, 5.0, 14.9, 15.0, 86_400.0):
        for label in (*TONES, UNSURE):
            for mean in (0.0, 1.0, -1.0, 1e9, -1e9):
                said = Said(seconds)
                said.tone.add(tone(0, label).probabilities, label)
                said.valence, said.arousal = mean, -mean
                kind = (*SENTIMENTS, UNSURE)[len(found) % 4]
                said.words.add(words(0, kind).probabilities, kind)
                said.fused.add(words(0, kind).probabilities, kind)
                said.channels = {"face", "voice", "words"} if len(found) % 3 else {"face"}
                found.append(said)
    return found


Reading = Tone | Words | Fused
VALIDATOR = jsonschema.Draft202012Validator(schemas.load("summary-2"))


def give(releaser: Releaser, reading: Reading, slot: int = 0) -> None:
    if isinstance(reading, Tone):
        releaser.hear(reading, slot)
    elif isinstance(reading, Words):
        releaser.read(reading, slot)
    else:
        releaser.fuse(reading)


def run(
    seen: Iterable[Perceived],
    readings: Sequence[Reading],
    settings: AgentConfig,
    *,
    seed: int = 0,
    sound: bool = True,
    slots: Callable[[float], int] = lambda _: 0,
) -> list[Released]:
    """Each reading is given with the first frame after it; `sound`: the microphone works."""
    releaser = Releaser(settings, resolve(settings), model=MODEL, rng=random.Random(seed))
    coming = sorted(readings, key=lambda reading: reading.time)
    done, place, before = [], 0, 0.0
    for frame in seen:
        done += releaser.observe(frame, slot=slots(frame.time))
        if sound:
            releaser.listen(frame.time, frame.time - before)
        before = frame.time
        while place < len(coming) and coming[place].time <= frame.time:
            give(releaser, coming[place], slots(coming[place].time))
            place += 1
    return done + releaser.finish()


def heard_of(
    seen: Iterable[Perceived], readings: Sequence[Reading], settings: AgentConfig, **options: Any
) -> list[HeardSummary]:
    done = []
    for released in run(seen, readings, settings, **options):
        assert isinstance(released.summary, HeardSummary)
        VALIDATOR.validate(json.loads(to_json(released.summary)))
        done.append(released.summary)
    return done
