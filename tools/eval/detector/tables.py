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
    the 0.6 of many samples). *With presence*: taken for a face by the landmark model as well.
"""
STILLS = """
    `fleeting inspect`: {false_faces} false faces on the {pictures_without_faces} pictures without a
    face at the shipped probability of {score_above:g}. Recall there; AP at IoU 0.5 of the whole
    curve (`--min-score 0.05`); and recall at the lowest score with one false face in 100 of these
    very pictures, of `inspect` and of one look by each detector alone.
"""
MAIN = """
    Pictures of one face, cut close (the landmark model's held-out part): in how many `fleeting
    inspect` lists no box on it.
"""
VIDEO = """
    Films: unseen scenes shrunk until their largest face is so wide, drifting over a face-free
    picture that pans, with zoom and sensor noise, 5 s at 30 frames a second. Share of frames in
    which a track lies on each face of that size or more (IoU 0.35), from the first frame and from
    one second on; processor time of one frame without expression, on this machine.
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
            prose(STILLS.format(**report["inspect"])),
            _stills(report),
            prose(MAIN),
            _main(report["inspect"]["main_faces"]),
            prose(VIDEO),
            *_video(report["video"]),
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
    head = ("", "threshold", "recall, from 16 px", "precision", "false alarms on 100 pictures")
    rows = []
    for name, threshold, row in shown:
        shares = (number(row[key], 1, True) for key in ("recall", "precision"))
        rows.append((name, threshold, *shares, number(row["false_alarms_per_100"], 1)))
    return markdown(head, rows)


def _stills(report: Report) -> str:
    inspect, alone = report["inspect"], report["one_false_face"]
    head = ("", "faces", "shipped", "AP", "inspect, 1 in 100", *(f"{n}, 1 in 100" for n in alone))
    rows = []
    for name, shipped in inspect["shipped"].items():
        at_one = inspect["one_false_face"]["recall"][name]
        cells = [number(shipped, 1, True), number(inspect["ap50"][name]), number(at_one, 1, True)]
        cells += [number(row["recall"][name], 1, True) for row in alone.values()]
        rows.append((name, f"{shipped['n']:,}", *cells))
    return markdown(head, rows)


def _main(missed: Report) -> str:
    return markdown(
        ("source", "pictures", "missed"),
        [(name, str(row["faces"]), str(row["missed"])) for name, row in missed.items()],
    )


def _video(video: Report) -> list[str]:
    """Films with faces, and films without."""
    rows = []
    for row in video["faces"]:
        shares = [row, row["bare"], row["masked"]]
        rows.append(
            (
                f"{row['size']}, {row['side']:g} px",
                str(row["faces"]),
                _percent(row["tracked"]),
                *(_percent(part["tracked_settled"]) for part in shares),
                str(row["never"]),
                f"{row['false_tracks_per_minute']:g}",
                f"{row['ms_per_frame']:.2f}",
            )
        )
    head = (
        "films", "faces", "tracked", "after 1 s", "bare", "masked", "never",
        "false tracks a minute", "ms",
    )  # fmt: skip
    empty = [
        (row["size"], f"{row['false_tracks_per_minute']:g}", f"{row['ms_per_frame']:.2f}")
        for row in video["blank"]
    ]
    return [
        markdown(head, rows),
        markdown(("films without a face", "false tracks a minute", "ms"), empty),
    ]


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f} %"


def _small(small: Report) -> str:
    frames, scenes = small["frames_1280x720"], small["scenes"]
    return markdown(
        ("", "frames", "scenes"),
        [
            (name, number(frames.get(name), 0, True), number(scenes.get(name), 0, True))
            for name in dict.fromkeys([*frames, *scenes])
        ],
    )
