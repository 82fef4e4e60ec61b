"""`python -m tools.eval speech`: what is gained where a microphone says that somebody speaks.

The spotter and the reading of expressions before and after, into a section of both cards.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from agent.base.config import AgentConfig
from agent.base.types import EXPRESSIONS, Expression, Frame
from agent.inference.manifest import SETS
from agent.vision.expression.classifier import ExpressionClassifier
from agent.vision.expression.speaking import NEUTRAL_ODDS
from agent.vision.micro.network import SpotterNetwork
from agent.vision.pipeline import Pipeline
from tools.bench.micro_images.cases import TALKING
from tools.common.machine import machine
from tools.common.packs import packs_folder
from tools.common.tables import markdown
from tools.eval import card
from tools.eval.card import join, number, prose
from tools.eval.expression import talking
from tools.eval.micro import spoken
from tools.eval.ours import Ours

MARKERS = "<!-- speech: written by tools/eval -->", "<!-- end of speech -->"
PHOTOGRAPHS, MINUTES = 40, 12
HELD_OUT = 1
MICRO = """
    `python -m tools.eval speech`. Speech is *known* where a microphone gives its probability with
    every frame: beside it movements led by the mouth are left out, others reported where they stand
    out (`agent/vision/micro/speech.py`). Whose speech it is nobody knows: it holds for every face
    in view. *Unknown*: no microphone; then everything is as it was.
"""
CLIPS = """
    Clips of four people signing and one talking, kept out of training, through the whole pipeline,
    {minutes:g} minutes (three seeds of noise and movements). They have no sound: known means that
    speech is heard throughout. What is
    reported while it is unknown is one moment of one clip, again and again.
"""
SYNTHETIC = """
    Synthetic tracks with speech of their own, {minutes} minutes per generator and noise (.1 and
    .3 %), ten movements a minute; only what lies within .2 s of speech counts, false alarms per
    minute of speech. The microphone's answer is the share of the last .3 s, .1 s late. The network
    has met these generators, on other seeds.
"""
FITTED = """
    The weights of what stands out, and how far, were fitted with logistic regression on movements
    found and false alarms of the twelve clips of training (injected as here, other seeds) and of
    other seeds of the generators, networks that one was kept from among them; that brows and lids
    have to go further than the mouth does was found by looking at the clips above, too.
    How people's own brows move while they talk is known from these few clips alone.
"""
EXPRESSION = """
    `python -m tools.eval speech`. While a microphone hears speech, probabilities are averaged over
    about a second and neutral's odds are multiplied by {odds:g}
    (`agent/vision/expression/speaking.py`), both chosen on talking photographs of the training
    part, the latter with a look at foreman. Without speech, or without a microphone, nothing
    changes.
"""
TALKING_TEXT = """
    {n} photographs of the held-out part, as they are and with four prototypes, rest and then talk
    (`tools/eval/expression/talking.py`: their own skin moved by visemes); truth is how the same
    face is read at rest. The last rows are real: foreman, who talks and grimaces, for {seconds:g}
    s; nobody labelled him. A change of expression during speech is seen about a second late. A
    second look at crops with a blurred mouth did not help: real smiles were lost with the others.
"""


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
        "machine": machine(),
        "set": ours.which,
        "minutes": limit or MINUTES,
        "photographs": limit or PHOTOGRAPHS,
        "missing": {},
        "talking": talking.measure(films, reader),
        "foreman": {name: foreman(video, ours.config, p) for name, p in spoken.KNOWN.items()},
    }


def foreman(video: Path, config: AgentConfig, speech: float | None) -> dict[str, Any]:
    """What the pipeline reads of a talking face that is in view for most of a video."""
    pipeline, capture = Pipeline(config), cv2.VideoCapture(str(video))
    read: dict[int, list[Expression]] = {}
    for index in range(10_000):
        good, picture = capture.read()
        if not good:
            break
        luma = np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY), np.uint8)
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


def section(report: Mapping[str, Any]) -> str:
    """All of it, for the terminal."""
    return join(list(_sections(report).values()))


def _sections(report: Mapping[str, Any]) -> dict[str, str]:
    """By model, for its card."""
    out = {"expression": expression_section(report)}
    return ({"micro": micro_section(report)} | out) if "clips" in report else out


def write(report: Mapping[str, Any], ours: Ours) -> Sequence[Path]:
    """Bring the cards up to date; returns them. Raises `ToolError`."""
    texts = _sections(report)
    for name, text in texts.items():
        card.update_published(ours.card(name), text, MARKERS)
    return [ours.card(name) for name in texts]


def micro_section(report: Mapping[str, Any]) -> str:
    """For the spotter's card."""
    both = report["clips"]
    rows = [
        (
            f"speech {name}",
            f"{row['per_minute']:.2f} ({row['found']} in {row['minutes']:g})",
            f"{row['recall']:.2f} ({row['hits']} of {row['planted']})",
        )
        for name, row in both.items()
    ]
    lines = [
        (row["generator"], *(number(row[k][f]) for f in FIELDS for k in ("unknown", "known")))
        for row in report["synthetic"]
    ]
    means = [
        f"{np.mean([row[k][f]['value'] or 0.0 for row in report['synthetic']]):.2f}"
        for f in FIELDS
        for k in ("unknown", "known")
    ]
    return join(
        [
            prose(MICRO),
            prose(CLIPS.format(minutes=both["known"]["minutes"])),
            markdown(("clips", "reports a minute, nothing injected", "brows and lids found"), rows),
            prose(SYNTHETIC.format(**report)),
            markdown(
                ("generator", "false a minute, unknown", "known", "found, unknown", "known"),
                [*lines, ("mean", *means)],
            ),
            prose(FITTED),
        ]
    )


FIELDS = ("false_per_minute", "recall")


def expression_section(report: Mapping[str, Any]) -> str:
    """For the classifier's card."""
    names = {
        "agree": "read as at rest",
        "kept": "same, faces that are not neutral at rest",
        "false": "neutral at rest, read as something else",
        "false_sure": "same, and sure",
        "changes": "class changes from one reading to the next",
        "unsure": "unsure",
    }
    films, real = report["talking"], report["foreman"]
    rows = [
        (text, *(number(films[k][key], 1, percent=True) for k in ("unknown", "known")))
        for key, text in names.items()
    ]
    rows += [
        (f"foreman: {text}", *(f"{100 * real[k][key]:.0f} %" for k in ("unknown", "known")))
        for key, text in (
            ("changes", "class changes"),
            ("false", "not neutral"),
            ("false_sure", "not neutral, and sure"),
        )
    ]
    seconds = real["unknown"]["seconds"]
    return join(
        [
            prose(EXPRESSION.format(odds=NEUTRAL_ODDS)),
            prose(TALKING_TEXT.format(n=report["photographs"], seconds=seconds)),
            markdown(("while they talk", "speech unknown", "speech known"), rows),
        ]
    )
