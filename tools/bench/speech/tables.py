"""The report as Markdown, for the cards and the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from agent.vision.expression.speaking import NEUTRAL_ODDS
from tools.common.tables import markdown
from tools.eval import card
from tools.eval.card import join, number, prose
from tools.eval.ours import Ours

MARKERS = "<!-- speech: written by tools/bench -->", "<!-- end of speech -->"
MICRO = """
    `python -m tools.bench speech`. Speech is *known* where a microphone gives its probability with
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
    `python -m tools.bench speech`. While a microphone hears speech, probabilities are averaged over
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
