"""Small faces: found with and without tiles."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np

from agent.base.types import Float, Frame, Grey
from tools.common.bootstrap import Resampler
from tools.common.progress import along
from tools.eval import data
from tools.eval.card import OURS
from tools.eval.data import thin
from tools.eval.detector.boxes import Found, Slice, overlap, recall_figure, short_sides
from tools.eval.detector.scenes import found_by, judged_by
from tools.eval.ours import Ours

SMALL_FRAME, SMALL_FACE = (720, 1280), 20
"""Of the frames with small faces: height and width, and the faces' short side, pixels."""
FRAMES = 100


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
