"""All of the tone's figures: by corpus, sex and speaker, in noise and rooms, beside peers."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from agent.base.types import Float
from agent.voice.listener import Listener
from agent.voice.tone import PROSODY, SPECTRUM
from tools.common.errors import ToolError
from tools.eval.ours import Ours
from tools.eval.voice import peers
from tools.eval.voice.figures import Truth, by_corpus, figures_of, valid_part
from tools.eval.voice.read import Change, read
from tools.train.voice import room
from tools.train.voice.corpora import Utterance, utterances

NOISES = (20.0, 10.0, 5.0, 0.0)
"""Signal-to-noise ratios, dB."""
ROOMS = ((0.2, 1.0), (0.4, 1.0), (0.8, 1.0), (0.4, 0.4), (0.8, 0.4))
"""Reverberation time in seconds, and the direct sound over the room's."""
MICROPHONES = 4
NETWORK = "our network on functionals alone"


def evaluate(ours: Ours, limit: int | None) -> dict[str, Any]:
    """Raises `ModelError` where the set has no tone."""
    listener = Listener(ours.manifest)
    found = valid_part()
    if limit is not None:
        found = found[:: max(len(found) // limit, 1)]
    truth, readings = Truth(found), read(listener, found, "unseen speakers")
    pair = [one for one in found if one.corpus in peers.PAIR]
    report: dict[str, Any] = {
        "set": ours.which,
        "missing": {},
        "corpora": by_corpus(truth, readings),
        "sex": {
            f"{name}, {'women' if sex == 'f' else 'men'}": figures_of(
                truth, readings, (truth.corpus == name) & (truth.sex == sex)
            )
            for name in peers.PAIR
            for sex in "fm"
        },
        "speakers": {
            name: figures_of(truth, readings, truth.speaker == name)
            for name in sorted({one.speaker for one in pair})
        },
        "noise": {},
        "rooms": {},
        "files": {name: ours.file_figures(name) for name in (SPECTRUM, PROSODY)},
    }
    for decibels in NOISES:
        name = f"{decibels:g} dB"
        report["noise"][name] = _changed(listener, pair, name, partial(noisy, decibels=decibels))
    for seconds, direct in ROOMS:
        name = f"{seconds:g} s, {'near' if direct >= 1 else 'far'}"
        change = partial(room.reverberated, seconds=seconds, direct=direct)
        report["rooms"][name] = _changed(listener, pair, name, change)
    report["microphones"] = _microphones(ours, pair)
    _beside(report, pair if limit else utterances(), found, limit)
    return report


def _microphones(ours: Ours, found: Sequence[Utterance]) -> dict[str, Any]:
    """Through other microphones, each utterance after the other, with and without getting used to
    them."""
    order = np.random.default_rng(0).permutation(len(found))
    shuffled = [found[index] for index in order]
    rows = {}
    for name, adapts in (("not adapting", False), ("adapting", True)):
        readings = []
        for seed in range(MICROPHONES):
            listener = Listener(ours.manifest, adapts)
            readings += read(
                listener,
                shuffled,
                f"microphone {seed + 1}, {name}",
                partial(_coloured, seed=seed),
                same_room=True,
            )
        rows[f"{MICROPHONES} other microphones, {name}"] = figures_of(
            Truth(shuffled * MICROPHONES), readings
        )
    return rows


def _coloured(_: np.random.Generator, samples: Float, seed: int) -> Float:
    return room.coloured(np.random.default_rng(seed), samples)


def noisy(rng: np.random.Generator, samples: Float, decibels: float) -> Float:
    """With one of the noises of `room`; no babble, which would be speech too."""
    return room.mixed(samples, room.noise(rng, len(samples)), decibels)


def _changed(
    listener: Listener, found: Sequence[Utterance], name: str, change: Change
) -> dict[str, Any]:
    return figures_of(Truth(found), read(listener, found, name, change))


def _beside(
    report: dict[str, Any], every: Sequence[Utterance], found: Sequence[Utterance],
    limit: int | None,
) -> None:  # fmt: skip
    """Peers and the table across corpora; what could not be measured is named."""
    report["peers"], report["across"] = {}, []
    if limit is not None:
        report["missing"]["peers"] = "--limit leaves them too little to learn from"
        return
    kinds: dict[str, peers.Features] = {"SVM on our functionals": peers.ours}
    try:
        kinds["SVM on eGeMAPS"] = peers.egemaps()
    except ToolError as error:
        report["missing"]["eGeMAPS"] = str(error)
    report["peers"], report["across"] = peers.table(every, kinds)
    for source in peers.PAIR:
        try:
            for target, figures in peers.network_across(source, found):
                row = (NETWORK, source, target, figures)
                if source != target:
                    report["across"].append(row)
        except ModuleNotFoundError as error:
            report["missing"][NETWORK] = f"{error.name} is not installed (pip install '.[train]')"
            return
