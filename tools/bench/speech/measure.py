"""The spotter and the reading of expressions before and after."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from agent.base.config import AgentConfig
from agent.base.types import EXPRESSIONS, Expression, Frame
from agent.inference.manifest import SETS
from agent.vision.expression.classifier import ExpressionClassifier
from agent.vision.micro.network import SpotterNetwork
from agent.vision.pipeline import Pipeline
from tools.bench.micro_images.cases import TALKING
from tools.bench.speech import spoken
from tools.common.film import greys
from tools.common.machine import machine
from tools.common.packs import packs_folder
from tools.eval.expression import talking
from tools.eval.ours import Ours

PHOTOGRAPHS, MINUTES = 40, 12
HELD_OUT = 1
"""Part of the packs."""


def evaluate(ours: Ours, limit: int | None) -> dict[str, Any]:
    """Figures of both."""
    network = SpotterNetwork.load(ours.manifest.network("micro").read())
    reader = ExpressionClassifier(ours.model("expression"), ours.parameters("expression"))
    films = talking.talks(HELD_OUT, limit or PHOTOGRAPHS)
    video = packs_folder() / "videos" / TALKING
    report: dict[str, Any] = {}
    if ours.which == SETS[0]:  # the spotter serves both sets, and its figures come from this one
        report["clips"] = spoken.clips(spoken.SEEDS[:limit])
        report["synthetic"] = spoken.synthetic(network, limit or MINUTES)
    return report | {
        "what": "speech known",
        "machine": machine(),
        "set": ours.which,
        "minutes": limit or MINUTES,
        "photographs": limit or PHOTOGRAPHS,
        "talking": talking.measure(films, reader),
        "foreman": {name: foreman(video, ours.config, p) for name, p in spoken.KNOWN.items()},
    }


def foreman(video: Path, config: AgentConfig, speech: float | None) -> dict[str, Any]:
    """What the pipeline reads of a talking face that is in view for most of a video."""
    pipeline = Pipeline(config)
    read: dict[int, list[Expression]] = {}
    for index, luma in enumerate(islice(greys(video), 10_000)):
        for face in pipeline(Frame(round(index / 30, 3), luma), speech).faces:
            if face.expression_is_new and face.expression is not None:
                read.setdefault(face.track_id, []).append(face.expression)
    longest = max(read.values(), key=len)
    said = np.stack([each.probabilities for each in longest]).argmax(1)
    sure = ~np.array([each.unsure for each in longest])
    other = said != EXPRESSIONS.index("neutral")
    return {
        "seconds": round(len(longest) * config.expression.interval, 1),
        "changes": round(float((np.diff(said) != 0).mean()), 3),
        "false": round(float(other.mean()), 3),
        "false_sure": round(float((other & sure).mean()), 3),
        "unsure": round(float((~sure).mean()), 3),
    }
