"""The detector's probabilities and thresholds, for still pictures and for tracking, with the
landmark network's say, as the agent uses them.

They are fitted again after either network changed: `python -m tools.eval.publish looks`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from agent.base.errors import ModelError
from agent.base.types import Float, Grey
from tools.common.progress import along
from tools.eval import data
from tools.eval.detector import calibrate
from tools.eval.detector.calibrate import Sample
from tools.eval.detector.evidence import Evidence, Witness, answers_of, face_free
from tools.eval.ours import open_set

STILLS_PER_100 = 0.5
"""False faces that `fleeting inspect` may list in 100 face-free pictures: half of the one that is
promised, for pictures of another kind than those it was measured on."""
TRACKS_PER_100 = 2.0
"""Tracks that 100 face-free frames may start; one that nothing supports soon ends again."""
ALONE_PER_100 = 4.0
"""False alarms of the detector alone in 100 face-free pictures, at `score_above`."""
LOWEST_ALONE = 0.3
"""Smallest `score_above` considered."""
MARGIN = 0.03
"""Added to it, for pictures other than those it was measured on."""
PARTS = {"still": STILLS_PER_100, "track": TRACKS_PER_100}


def choose_threshold(alarms: Float, pictures: int, per_100: float) -> float:
    """The lowest score, in steps of 0.01, that keeps false alarms within the limit, and a margin.

    The limit is rounded up to whole alarms: one picture more or less decides nothing.
    """
    allowed = math.ceil(pictures * per_100 / 100.0 - 1e-9)
    for score in np.arange(LOWEST_ALONE, 0.92, 0.01):
        if int((alarms >= score).sum()) <= allowed:
            return round(float(score) + (MARGIN if score > LOWEST_ALONE else 0.0), 2)
    return 0.95


def parameters_of(figures: dict[str, Any]) -> dict[str, Any]:
    """The manifest's parameters from `measured`."""
    found: dict[str, Any] = {}
    for name in PARTS:
        if name in figures:
            found[f"{name}_weights"] = figures[name]["weights"]
            found[f"{name}_above"] = figures[name]["above"]
    return found


def measured(
    models: Path, which: str, scenes: data.Scenes, blanks: Sequence[Grey], part_of_scenes: bool
) -> dict[str, Any]:
    """Weights and threshold for stills and for tracking, of the set `which` in `models`.

    `blanks` are pictures without faces; `part_of_scenes`: what lies beside the faces of the scenes
    serves too. Empty where the set lacks another model.
    """
    try:
        witness = Witness(open_set(which, models))
    except ModelError as error:
        print(f"Thresholds of the detector alone: {error}")
        return {}
    return {
        "still": _part(witness.still, "still", scenes, blanks, part_of_scenes),
        "track": _part(witness.frame, "track", scenes, blanks, part_of_scenes),
    }


def _part(
    ask: Callable[[Grey], Evidence],
    name: str,
    scenes: data.Scenes,
    blanks: Sequence[Grey],
    part_of_scenes: bool,
) -> dict[str, Any]:
    sample = sample_of(ask, name, scenes, blanks, part_of_scenes)
    fitted = calibrate.fit(sample)
    value, decay = calibrate.tail_threshold(fitted.blanks, PARTS[name])
    return calibrate.report(sample, fitted, calibrate.probability(value), decay)


def sample_of(
    ask: Callable[[Grey], Evidence],
    name: str,
    scenes: data.Scenes,
    blanks: Sequence[Grey],
    part_of_scenes: bool,
) -> Sample:
    """Evidence of all pictures, and what is known of it."""
    seen = [ask(picture) for picture in along(scenes.pictures, f"{name}: scenes")]
    answers = [
        answers_of(found, boxes, ignored)
        for found, boxes, ignored in zip(seen, scenes.boxes, scenes.ignored, strict=True)
    ]
    free, units = face_free(blanks, scenes, part_of_scenes)
    empty = [ask(picture) for picture in along(free, f"{name}: no faces")]
    return Sample(seen, answers, empty, units)
