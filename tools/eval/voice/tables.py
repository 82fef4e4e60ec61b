"""The tone's figures as Markdown, for the card and the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agent.base.types import TONES
from tools.common.tables import markdown
from tools.eval.card import join, number, prose

Report = Mapping[str, Any]
NAMED = {"ravdess": "RAVDESS", "emodb": "EmoDB", "ased": "ASED"}
HEAD = ("speakers, condition", "utterances", "arousal UAR", "with disgust", "tone UAR",
        "ECE, tone", "ECE, arousal", "answered", "right of these")  # fmt: skip


def published(figures: Report) -> str:
    """What comes with the model."""
    files = figures["files"]
    rows = [(NAMED.get(name, name), *_row(each)) for name, each in figures["valid"].items()]
    sizes = [
        (name, f"{each['bytes']:,}", f"{each['million_macs']}", f"{each['delegated']:.0%}",
         f"{each['one_thread']['min_ms']:.3f}", str(figures["snr_db"][name]))
        for name, each in files.items()
    ]  # fmt: skip
    calibration = figures["calibration"]
    held = [
        (NAMED[name], who, f"{each['arousal']:.3f}", f"{each['tone']:.3f}")
        for name, parts in calibration["uar_held_back"].items()
        for who, each in parts.items()
    ]
    text = f"""
        Joined and calibrated on training speakers for whom both networks were trained a second
        time without them; below {calibration["unsure_below"]:g} an answer is *unsure*.
    """
    return join(
        [
            "Speakers of the valid part, int8, as the agent hears them, voice activity included:",
            markdown(HEAD, rows),
            markdown(
                ("file", "bytes", "million MACs", "XNNPACK", "least ms", "int8 SNR, dB"), sizes
            ),
            prose(text),
            markdown(("held back", "network", "arousal UAR", "tone UAR"), held),
        ]
    )


def section(report: Report) -> str:
    """What stands between the markers of models/tone/CARD.md."""
    introduction = """
        `python -m tools.eval voice`, int8 as shipped, whole recordings as the agent hears them,
        voice activity included. UAR:
        unweighted average recall, by the highest probability without *unsure*; 95 % intervals of
        1,000 bootstrap resamples of utterances in brackets. Arousal is high in happy, angry,
        fearful and surprised speech, low in neutral, calm, sad and bored; disgust is left out, or
        high in *with disgust*. ECE: ten bins.
    """
    parts = [prose(introduction)]
    for title, key in (
        ("**Unseen speakers**", "corpora"),
        ("**By sex**", "sex"),
        ("**By speaker**", "speakers"),
        ("**With noise**, signal-to-noise ratio, RAVDESS and EmoDB together", "noise"),
        (
            "**In rooms**, reverberation time, talker at an arm's length and across the room",
            "rooms",
        ),
        (
            "**Other microphones**, one utterance after the other, without and with getting used "
            "to their colour",
            "microphones",
        ),
    ):
        rows = [(NAMED.get(name, name), *_row(each)) for name, each in report[key].items()]
        parts += [f"{title}:", markdown(HEAD, rows)]
    recalls = [
        (NAMED.get(name, name), *(number(each["recalls"][tone]) for tone in TONES))
        for name, each in report["corpora"].items()
    ]
    parts += ["**Recall by tone**:", markdown(("speakers", *TONES), recalls)]
    peers = [(who, NAMED[name], number(each["arousal"], 3), number(each["tone"], 3))
             for who, rows in report["peers"].items() for name, each in rows.items()]  # fmt: skip
    parts += [
        prose(
            """**Other ways** on the same recordings (arousal without disgust), each trained on the
            training speakers of the corpus it is measured on, which ours cannot be told: support
            vector machines with a radial kernel on our 82 functionals, and on eGeMAPS where
            opensmile is installed."""
        ),
        markdown(("what", "speakers", "arousal UAR", "tone UAR"), peers),
    ]
    across = [(who, NAMED[a], NAMED[b], number(each["arousal"], 3), number(each["tone"], 3))
              for who, a, b, each in report["across"]]  # fmt: skip
    parts += [
        "**Across corpora**: trained on one alone, measured on the unseen speakers of the other:",
        markdown(("what", "trained on", "measured on", "arousal UAR", "tone UAR"), across),
    ]
    return join(parts)


def _row(each: Report) -> tuple[str, ...]:
    return (
        str(each["utterances"]),
        number(each["arousal"], 3), number(each["arousal_with_disgust"], 3),
        number(each["tone"], 3), f"{each['tone_ece']:.3f}", f"{each['arousal_ece']:.3f}",
        number(each["answered"], 0, True), number(each["right_of_answered"], 0, True),
    )  # fmt: skip
