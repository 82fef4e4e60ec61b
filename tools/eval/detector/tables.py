"""The detector's evaluation as Markdown, for the card and the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tools.common.tables import markdown
from tools.eval.card import OURS, Figure, beside, file_lines, join, missing, number, prose

Report = Mapping[str, Any]

INTRODUCTION = """
    `python -m tools.eval detector`: {pictures} unseen scenes and {pictures_without_faces} unseen
    pictures without a face, all grey; peers get grey as three channels. 95 % intervals in brackets:
    1,000 bootstrap resamples of whole pictures. **Bold**: the paired difference to ours
    excludes 0. YuNet, RetinaFace and BlazeFace full made the boxes of all sources but
    facemask_cc0 and widerface_val_subset, by agreement of two, which flatters them; people drew
    those two. BlazeFace's boxes leave out the forehead, hence IoU 0.35 as well.
"""
THRESHOLDS = """
    Each at its own threshold: ours at the manifest's, peers at their makers' default (YuNet also at
    the 0.6 of many samples). *With presence*: what starts a track in the agent, found and taken for
    a face by the landmark model. *inspect* is `fleeting inspect`: stills in tiles, detector and
    landmark presence judged together.
"""
SMALL = """
    Faces of 20 px: share found at those thresholds. *Frames*: unseen scenes shrunk until a
    face's short side is 20 px, put into face-free pictures of 1280x720, where the agent takes
    2x2 tiles unless told otherwise. *Scenes*: labelled faces of 18 to 22 px in the scenes as
    they are.
"""
SILENCE = """
    Scenes carry no label of age, gender or skin tone: nothing can be concluded about groups of
    people. Masked faces of facemask_cc0 are the largest group by far.
"""


def section(report: Report) -> str:
    """What stands between the markers of models/detector/CARD.md."""
    names = list(report["ap50"]["all"])
    return join(
        [
            prose(INTRODUCTION.format(**report)),
            _precision("AP at IoU 0.5", report["ap50"], names),
            _precision("AP at IoU 0.5, from 16 px", report["ap50_by_source"], names),
            _precision("AP at IoU 0.35", report["ap35"], names),
            prose(THRESHOLDS),
            _thresholds(report),
            prose(SMALL),
            _small(report["small"]),
            file_lines(report["file"], report["peer_latency"]),
            missing(report["missing"]),
            prose(SILENCE),
        ]
    )


def _precision(title: str, parts: Report, names: list[str]) -> str:
    rows = []
    for name, row in parts.items():
        first: Figure = row[OURS]
        if first["n"]:
            cells = [number(first), *[beside(row[peer]) for peer in names if peer != OURS]]
            rows.append((name, f"{first['n']:,}", *cells))
    return markdown((title, "faces", *names), rows)


def _thresholds(report: Report) -> str:
    shown = [(row["detector"], f"{row['score_above']:g}", row) for row in report["operating"]]
    presence = report["with_presence"]
    shown.insert(1, ("ours, with presence", f"{presence['score_above']:g}", presence))
    shown.append(("inspect", f"{report['inspect']['score_above']:g}, joint", report["inspect"]))
    head = ("", "threshold", "recall, from 16 px", "precision", "false alarms on 100 pictures")
    rows = []
    for name, threshold, row in shown:
        shares = (number(row[key], 1, True) for key in ("recall", "precision"))
        rows.append((name, threshold, *shares, number(row["false_alarms_per_100"], 1)))
    return markdown(head, rows)


def _small(small: Report) -> str:
    frames, scenes = small["frames_1280x720"], small["scenes"]
    return markdown(
        ("", "frames", "scenes"),
        [
            (name, number(frames.get(name), 0, True), number(scenes.get(name), 0, True))
            for name in dict.fromkeys([*frames, *scenes])
        ],
    )
