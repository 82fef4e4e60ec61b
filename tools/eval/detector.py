"""The detector's figures: precision by size, kind and source, false alarms, small faces."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from agent.inspect import Inspector
from agent.types import Detections, Float, Frame, Grey
from tools.eval import cache, data
from tools.eval.bootstrap import Draws, Resampler
from tools.eval.boxes import (
    Found,
    Judged,
    Slice,
    exactness_figure,
    judge,
    precision_figure,
    recall_figure,
    short_sides,
)
from tools.eval.card import OURS
from tools.eval.data import thin
from tools.eval.errors import EvalError
from tools.eval.latency import network_latency
from tools.eval.ours import NO_FLOAT, Ours
from tools.eval.peers import detectors as peer_module
from tools.eval.peers import runtime
from tools.eval.peers.detectors import DETECTORS, DetectorPeer
from tools.eval.progress import along
from tools.train.detector_measure import LOWEST, overlap

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
SMALL_FRAME, SMALL_FACE = (720, 1280), 20
"""Of the frames with small faces: height and width, and the faces' short side, pixels."""
FRAMES = 100
YUNET_SAMPLE = 0.6
"""Threshold of many samples that use YuNet; OpenCV's own default is 0.9."""
Find = Callable[[Grey], Found]


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
        except EvalError as error:
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
        "inspect": inspect_figures(ours, scenes, blanks),
        "small": small_figures(ours, scenes, small, answers, usual, count + len(blanks)),
        "file": ours.file_figures("detector"),
        "peer_latency": latencies,
    }
    return report


def found_by(detections: Detections) -> Found:
    """A detector's answer without its keypoints."""
    return Found(detections.boxes, detections.scores)


def peer_answers(peer: DetectorPeer, networks: Path, pictures: Sequence[Grey]) -> list[Found]:
    """What a peer finds in each picture; kept under runs/eval. Raises `EvalError`."""
    path = networks / peer.file
    if not path.is_file():
        raise EvalError(f"There is no {peer.file} in the peers' folder.")
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


def judged_by(
    scenes: data.Scenes, found: Sequence[Found], part: Slice, iou: float = 0.5
) -> tuple[Judged, list[int]]:
    """A slice's detections and which pictures it takes."""
    rows = [i for i, source in enumerate(scenes.sources) if part.source in (None, source)]
    judged = judge(
        [found[i] for i in rows],
        [scenes.boxes[i] for i in rows],
        [scenes.ignored[i] for i in rows],
        [scenes.kinds[i] for i in rows],
        part,
        iou,
    )
    return judged, rows


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
        table[part.name] = {
            name: {
                **figure.figure(),
                **({} if name == OURS else {"ours_minus": (draws[OURS] - figure).figure()}),
            }
            for name, figure in draws.items()
        }
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
        judged, places = judged_by(scenes, seen[name], Slice("", 16))
        resampler = Resampler(places)
        alarms = np.array([int((found.scores >= threshold).sum()) for found in empty[name]])
        rows.append(
            {
                "detector": name,
                "score_above": threshold,
                "recall": recall_figure(judged, resampler, threshold).figure(),
                "precision": exactness_figure(judged, resampler, threshold).figure(),
                **false_alarms(alarms),
            }
        )
    return rows


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


def inspect_figures(ours: Ours, scenes: data.Scenes, blanks: Sequence[Grey]) -> dict[str, Any]:
    """What `fleeting inspect` lists: detector and landmark presence together, tiles on stills."""
    inspector = Inspector(ours.config)
    alarms = np.array([len(inspector.picture(p)) for p in along(blanks, "inspect, no faces")])
    answers = []
    for picture in along(scenes.pictures, "inspect, scenes"):
        faces = inspector.picture(picture)
        answers.append(
            Found(
                np.array([face["box"] for face in faces], np.float32).reshape(-1, 4),
                np.array([face["score"] for face in faces], np.float32),
            )
        )
    judged, rows = judged_by(scenes, answers, Slice("", 16))
    resampler = Resampler(rows)
    settings = ours.parameters("detector")
    return {
        "score_above": float(settings.get("still_above", settings["score_above"])),
        **false_alarms(alarms),
        "recall": recall_figure(judged, resampler, 0.0).figure(),
        "precision": exactness_figure(judged, resampler, 0.0).figure(),
    }


def small_faces(
    scenes: data.Scenes, blanks: Sequence[Grey], limit: int | None
) -> list[tuple[Grey, Float]]:
    """Frames of 1280x720, each with one scene shrunk until a face's short side is 20 px.

    The rest of the frame is a face-free picture, enlarged. Faces of 40 px and more in the scene
    are taken, so that shrinking and not the label's doubt makes them small. Returns frames and the
    face's box float32[4].
    """
    rng = np.random.default_rng(3)
    found: list[tuple[Grey, Float]] = []
    for picture, boxes, ignored in zip(scenes.pictures, scenes.boxes, scenes.ignored, strict=True):
        sides = np.where(ignored, 0.0, short_sides_each(boxes))
        if not len(boxes) or sides.max() < 40:
            continue
        k = int(sides.argmax())
        scale = SMALL_FACE / float(sides[k])
        width = max(round(picture.shape[1] * scale), 1)
        height = max(round(picture.shape[0] * scale), 1)
        rows, columns = SMALL_FRAME
        behind = blanks[int(rng.integers(len(blanks)))]
        frame = np.asarray(cv2.resize(behind, (columns, rows)), np.uint8)
        if width >= columns or height >= rows:
            continue
        x, y = int(rng.integers(0, columns - width)), int(rng.integers(0, rows - height))
        frame[y : y + height, x : x + width] = cv2.resize(
            picture, (width, height), interpolation=cv2.INTER_AREA
        )
        zoom = np.array([width / picture.shape[1], height / picture.shape[0]], np.float32)
        box = boxes[k].reshape(2, 2) * zoom + np.array([x, y], np.float32)
        found.append((frame, box.reshape(4).astype(np.float32)))
    return [found[i] for i in thin(len(found), min(limit or FRAMES, FRAMES))]


def short_sides_each(boxes: Float) -> Float:
    """float32[N]; empty for no boxes."""
    return short_sides(boxes) if len(boxes) else np.zeros(0, np.float32)


def small_figures(
    ours: Ours,
    scenes: data.Scenes,
    small: Sequence[tuple[Grey, Float]],
    answers: dict[str, list[Found]],
    usual: dict[str, float],
    start: int,
) -> dict[str, Any]:
    """Share of 20-px faces found at each detector's threshold, IoU 0.5.

    `frames`: the 1280x720 frames of `small_faces`. `scenes`: labelled faces of 18 to 22 px in the
    scenes as they are. Ours also with 2x2 tiles, which the agent takes at 1280x720, and 4x4.
    """
    frames: dict[str, Any] = {}
    every = Resampler(range(len(small)))
    threshold = usual[OURS]
    detect = ours.detector(threshold)

    def hit(found: Found, wanted: Float, above: float) -> bool:
        good = found.boxes[found.scores >= above]
        return bool((overlap(good, wanted[None]) >= 0.5).any())

    for name, found in answers.items():
        hits = [
            hit(answer, box, usual[name])
            for answer, (_, box) in zip(found[start:], small, strict=True)
        ]
        frames[name] = every.share(hits).figure()
    for tiles in (2, 4):
        title = f"ours, {tiles}x{tiles} tiles"
        hits = [
            hit(found_by(detect(Frame(0.0, frame), tiles)), box, threshold)
            for frame, box in along(small, title)
        ]
        frames[title] = every.share(hits).figure()

    part, natural = Slice("18-22 px", 18, 22), {}
    for name, found in answers.items():
        judged, rows = judged_by(scenes, found[: len(scenes.pictures)], part)
        natural[name] = recall_figure(judged, Resampler(rows), usual[name]).figure()
    tiled = [found_by(detect(Frame(0.0, p), 2)) for p in along(scenes.pictures, "ours, 2x2 tiles")]
    judged, rows = judged_by(scenes, tiled, part)
    natural["ours, 2x2 tiles"] = recall_figure(judged, Resampler(rows), threshold).figure()
    return {"frames_1280x720": frames, "scenes": natural}
