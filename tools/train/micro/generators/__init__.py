"""Generators of synthetic tracks for training, as different from one another as we can make them.

Whoever makes tracks puts habits into them: shapes of movements, fields, how a head goes. A network
trained on one generator finds them and does far worse on another's. Five are trained on; training
on four and measuring on the fifth shows what is left of a figure on somebody else's tracks
(`python -m tools.train micro --without NAME`).

| name | fields | course | talking | head | amplitude |
|---|---|---|---|---|---|
| anatomical | `tools.micro`: estimates by hand | raised cosines, held | syllables | waves | peak |
| sparse | a second hand's | raised cosines | bumps of the jaw | waves | strength |
| blendshapes | ICT-FaceKit, 3-D scans | gamma, twitch, bell | dominance | springs | channel |
| smooth_fields | bumps around centres | minimum jerk, warped | oscillation | keyframes | rms |
| muscles | Waters' muscles | twitch, cosine, bell | undershoot | waves | top |
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from tools.micro.generator_config import GeneratorConfig
from tools.micro.tracks import Track
from tools.micro.tracks import make as make_track
from tools.train.micro.generators import (
    blendshapes,
    courses,
    minute,
    muscles,
    smooth_fields,
    sparse,
)
from tools.train.micro.generators.minute import Condition, Recipe
from tools.train.micro.samples import Material

__all__ = ["GENERATORS", "Condition", "Generator", "from_track", "mixed"]

Generator = Callable[[np.random.Generator, Condition], Material]

_RECIPES = {
    "blendshapes": Recipe(
        blendshapes.make,
        ((courses.gamma, 2.0), (courses.bell, 1.0), (courses.muscle_twitch, 1.0)),
        "dominance",
        "springs",
        "channel",
    ),
    "smooth_fields": Recipe(
        smooth_fields.make,
        ((courses.plateau, 2.0), (courses.warped, 2.0), (courses.double, 0.4)),
        "oscillation",
        "keyframes",
        "rms",
    ),
    "muscles": Recipe(
        muscles.make,
        ((courses.muscle_twitch, 2.0), (courses.raised_cosine, 1.0), (courses.bell, 1.0)),
        "undershoot",
        "wandering",
        "top",
    ),
}


def _anatomical(rng: np.random.Generator, how: Condition) -> Material:
    config = GeneratorConfig()
    if rng.random() < 0.8:
        config = config.vary(rng)
    track = make_track(
        int(rng.integers(10**6, 10**9)),
        fps=how.fps,
        seconds=how.seconds,
        noise=how.noise,
        events=how.events,
        distractors=how.distractors,
        config=config,
    )
    return from_track(track)


def _sparse(rng: np.random.Generator, how: Condition) -> Material:
    return sparse.make(
        rng,
        sparse.Course(
            how.fps,
            how.noise,
            how.events,
            how.distractors,
            float(rng.choice([0.0, 0.02, 0.05])),
            how.seconds,
        ),
    )


def _of(recipe: Recipe) -> Generator:
    def run(rng: np.random.Generator, how: Condition) -> Material:
        return minute.make(rng, how, recipe)

    return run


def mixed(rng: np.random.Generator, how: Condition) -> Material:
    """Parts of all recipes thrown together: for training beside the generators themselves."""
    parts = [_RECIPES[name] for name in rng.choice(sorted(_RECIPES), 5)]
    recipe = Recipe(
        parts[0].anatomy, parts[1].courses, parts[2].talk, parts[3].motion, parts[4].amplitude
    )
    if rng.random() < 0.4:
        recipe = replace(recipe, amplitude="peak", courses=((courses.raised_cosine, 1.0),))
    return minute.make(rng, how, recipe)


GENERATORS: Mapping[str, Generator] = {
    "anatomical": _anatomical,
    "sparse": _sparse,
    **{name: _of(recipe) for name, recipe in _RECIPES.items()},
}
"""By name: a track of `how`, everything else drawn from `rng`."""


def from_track(track: Track) -> Material:
    """A track of `tools.micro` with its truth."""
    jumps = [(at - 0.03, at + 0.1) for at in (*track.restarts, *track.glitches)]
    return Material(
        track.timestamps,
        track.landmarks,
        track.confidence,
        track.micro,
        {
            "macro": [(event.onset, event.offset) for event in track.macro],
            "blink": [(event.onset, event.offset) for event in track.blinks],
            "speech": track.speech,
            "head_motion": track.head,
            "tracking_jump": jumps,
        },
    )
