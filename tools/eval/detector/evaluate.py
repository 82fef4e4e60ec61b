"""The detector's figures: precision by size, kind and source, false alarms, small faces."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agent.base.types import Frame, Grey
from tools.common.bootstrap import Draws, Resampler, beside
from tools.common.errors import ToolError
from tools.common.progress import along
from tools.eval import cache, data
from tools.eval.card import OURS
from tools.eval.detector import stills
from tools.eval.detector.boxes import (
    LOWEST,
    Found,
    Slice,
    exactness_figure,
    precision_figure,
    recall_figure,
)
from tools.eval.detector.scenes import found_by, judged_by
from tools.eval.detector.small import small_faces, small_figures
from tools.eval.detector.video import video_figures
from tools.eval.latency import network_latency
from tools.eval.ours import NO_FLOAT, Ours
from tools.eval.peers import detectors as peer_module
from tools.eval.peers import runtime
from tools.eval.peers.detectors import DETECTORS, DetectorPeer

FLOAT = "ours, float"
SIZES = (
    Slice("all"),
    Slice("from 16 px", 16),
    Slice("from 24 px", 24),
    Slice("8-16 px", 8, 16),
    Slice("16-24 px", 16, 24),
    Slice("24-48 px", 24, 48),
    Slice("48 px and more", 48),
)
KINDS = (
    Slice("bare, from 16 px", 16, kind=data.BARE),
    Slice("masked, from 16 px", 16, kind=data.MASKED),
)
LOOSE_IOU = 0.35
YUNET_SAMPLE = 0.6
"""Threshold of many samples that use YuNet; OpenCV's own default is 0.9."""


def evaluate(ours: Ours, networks: Path, limit: int | None) -> dict[str, Any]:
    """All figures. Peers that cannot run are named in `missing` with the reason."""
    scenes, blanks = data.scenes(limit), data.negatives(limit)
    small = small_faces(scenes, blanks, limit)
    frames = [frame for frame, _ in small]
    everything = [*scenes.pictures, *blanks, *frames]
    answers: dict[str, list[Found]] = {}
    usual = {OURS: float(ours.parameters("detector")["score_above"])}
    notes: dict[str, str] = {}
    latencies: dict[str, dict[str, float]] = {}

    detect = ours.detector(LOWEST)
    answers[OURS] = [found_by(detect(Frame(0.0, p))) for p in along(everything, OURS)]
    exact = ours.exact("detector")
    if exact is None:
        notes[FLOAT] = NO_FLOAT
    else:
        whole = ours.detector(LOWEST, exact)
        answers[FLOAT] = [found_by(whole(Frame(0.0, p))) for p in along(everything, FLOAT)]
        usual[FLOAT] = usual[OURS]
    for peer in DETECTORS:
        try:
            answers[peer.name] = peer_answers(peer, networks, everything)
            usual[peer.name] = peer.usual
            latencies[peer.name] = network_latency(networks / peer.file)
        except ToolError as error:
            notes[peer.name] = str(error)

    count = len(scenes.pictures)
    seen = {name: found[:count] for name, found in answers.items()}
    empty = {name: found[count : count + len(blanks)] for name, found in answers.items()}
    report: dict[str, Any] = {
        "set": ours.which,
        "pictures": count,
        "pictures_without_faces": len(blanks),
        "missing": notes,
        "score_above": usual[OURS],
        "ap50": precision_tables(scenes, seen, SIZES + KINDS, 0.5),
        "ap35": precision_tables(scenes, seen, SIZES[:3], LOOSE_IOU),
        "ap50_by_source": by_source(scenes, seen),
        "operating": operating(scenes, seen, empty, usual),
        "with_presence": with_presence(ours, scenes, blanks, usual[OURS]),
        "inspect": stills.inspect_figures(ours, scenes, blanks, limit),
        "one_false_face": {
            name: stills.at_one_false_face(scenes, seen[name], empty[name])
            for name in (OURS, *(peer.name for peer in DETECTORS if peer.name in seen))
        },
        "video": video_figures(ours.config, scenes, blanks, limit),
        "small": small_figures(ours, scenes, small, answers, usual, count + len(blanks)),
        "file": ours.file_figures("detector"),
        "peer_latency": latencies,
    }
    return report


def peer_answers(peer: DetectorPeer, networks: Path, pictures: Sequence[Grey]) -> list[Found]:
    """What a peer finds in each picture; kept under runs/eval. Raises `ToolError`."""
    path = networks / peer.file
    if not path.is_file():
        raise ToolError(f"There is no {peer.file} in the peers' folder.")
    modules = (peer_module, runtime)

    def make() -> cache.Arrays:
        find = peer.open(networks)
        found = [find(picture) for picture in along(pictures, peer.name)]
        return {
            "boxes": np.concatenate([f.boxes for f in found]).astype(np.float32),
            "scores": np.concatenate([f.scores for f in found]).astype(np.float32),
            "counts": np.array([len(f.scores) for f in found], np.float32),
        }

    kept = cache.remember(peer.name, cache.key_of(path, modules, pictures), make)
    ends = np.cumsum(kept["counts"].astype(int))[:-1]
    return [
        Found(b, s)
        for b, s in zip(np.split(kept["boxes"], ends), np.split(kept["scores"], ends), strict=True)
    ]


def precision_tables(
    scenes: data.Scenes, answers: dict[str, list[Found]], parts: Sequence[Slice], iou: float
) -> dict[str, Any]:
    """AP by slice and detector, and ours minus each other, paired."""
    table: dict[str, Any] = {}
    for part in along(parts, f"average precision at {iou}"):
        draws = {}
        for name, found in answers.items():
            judged, rows = judged_by(scenes, found, part, iou)
            draws[name] = precision_figure(judged, Resampler(rows))
        table[part.name] = beside(draws, OURS)
    return table


def by_source(scenes: data.Scenes, answers: dict[str, list[Found]]) -> dict[str, Any]:
    """AP of faces from 16 px in the pictures of each source."""
    parts = [Slice(source, 16, source=source) for source in sorted(set(scenes.sources))]
    return precision_tables(scenes, answers, parts, 0.5)


def operating(
    scenes: data.Scenes,
    seen: dict[str, list[Found]],
    empty: dict[str, list[Found]],
    usual: dict[str, float],
) -> list[dict[str, Any]]:
    """At each detector's own threshold: recall and precision of faces from 16 px, false alarms.

    False alarms are counted per 100 pictures without a face.
    """
    rows = []
    points = list(usual.items())
    points += [(name, YUNET_SAMPLE) for name in usual if name.startswith("YuNet")]
    for name, threshold in sorted(points, key=lambda point: list(usual).index(point[0])):
        alarms = np.array([int((found.scores >= threshold).sum()) for found in empty[name]])
        rows.append(
            {
                "detector": name,
                "score_above": threshold,
                **right(scenes, seen[name], threshold),
                **false_alarms(alarms),
            }
        )
    return rows


def right(scenes: data.Scenes, found: Sequence[Found], threshold: float) -> dict[str, Any]:
    """Recall and precision of faces from 16 px."""
    judged, rows = judged_by(scenes, found, Slice("", 16))
    resampler = Resampler(rows)
    return {
        "recall": recall_figure(judged, resampler, threshold).figure(),
        "precision": exactness_figure(judged, resampler, threshold).figure(),
    }


def false_alarms(alarms: NDArray[np.int64]) -> dict[str, Any]:
    """Per 100 face-free pictures: false alarms, and pictures with any; int[N] given, by picture."""
    every = Resampler(range(len(alarms)))
    some, rate = every.share(alarms > 0), every.mean(alarms)
    if some.exact and not alarms.any():
        rate = Draws(0.0, rate.resampled, rate.count, some.exact)
    return {
        name: {key: v if key == "n" or v is None else round(100 * v, 2) for key, v in row.items()}
        for name, row in (
            ("false_alarms_per_100", rate.figure(6)),
            ("pictures_with_false_alarms", some.figure(6)),
        )
    }


def with_presence(
    ours: Ours, scenes: data.Scenes, blanks: Sequence[Grey], threshold: float
) -> dict[str, Any]:
    """What would start a track: found, and a face to the landmark network too."""
    detect, place = ours.detector(threshold), ours.placer()
    least = float(ours.parameters("landmarks")["presence_above"])

    def confirmed(picture: Grey) -> Found:
        found = detect(Frame(0.0, picture))
        presences = [place.refine(picture, five).presence for five in found.keypoints]
        sure = np.array(presences) >= least
        return Found(found.boxes[sure], found.scores[sure])

    kept = [confirmed(picture) for picture in along(scenes.pictures, "with presence, scenes")]
    alarms = [len(confirmed(p).scores) for p in along(blanks, "with presence, no faces")]
    return {
        "score_above": threshold,
        **false_alarms(np.array(alarms)),
        **right(scenes, kept, 0.0),
    }
