"""The figures that come with the detector: average precision, false alarms, clips; and YuNet's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import cv2
import numpy as np

from agent.base.types import Detections, Float, Frame, Grey
from agent.vision.faces.detect import FaceDetector
from tools.common.film import greys
from tools.common.packs import packs_folder
from tools.eval import data
from tools.eval.detector.boxes import LOWEST, Slice, average_precision, overlap
from tools.eval.detector.scenes import found_by, judged_by
from tools.eval.peers.detectors import yunet_faces
from tools.train.detector.labels import OUTPUTS
from tools.train.lite import LiteModel

Find = Callable[[Grey], Detections]
SMALL = (0, 16, 24)
"""Shortest side, picture pixels, from which a face counts; smaller ones neither help nor hurt."""


def ours(file: bytes, score_above: float = LOWEST) -> Find:
    """The shipped way: FaceDetector over a LiteRT file."""
    model = LiteModel(file)
    detector = FaceDetector(
        lambda picture: dict(zip(OUTPUTS, model(picture), strict=True)), score_above
    )
    return lambda luma: detector(Frame(0.0, luma))


def yunet(score_above: float = LOWEST) -> Find:
    """YuNet-n at 320x320, from the packs' folder of teachers."""
    return yunet_faces(packs_folder() / "teachers" / "yunet_n_320_320.onnx", score_above)


def scene_figures(find: Find, score_above: float) -> dict[str, Any]:
    """AP50 by source and face size; recall and precision at the threshold; keypoint error."""
    scenes = data.scenes()
    answers = [find(picture) for picture in scenes.pictures]
    found = [found_by(answer) for answer in answers]
    figures: dict[str, Any] = {}
    for source in [*sorted(set(scenes.sources)), None]:
        row: dict[str, Any] = {}
        for smallest in SMALL:
            judged, rows = judged_by(scenes, found, Slice("", smallest, source=source))
            row["pictures"] = len(rows)
            faces, passed = int(judged.faces.sum()), judged.scores >= score_above
            right = judged.right[passed]
            row[f"from_{smallest}_px"] = {
                "faces": faces,
                "ap50": round(float(average_precision(judged)[0]), 4),
                "recall": round(float(right.sum()) / max(faces, 1), 4),
                "precision": round(float(right.mean()) if len(right) else 1.0, 4),
            }
        figures[source or "all"] = row
    figures["keypoint_error"] = _keypoint_error(scenes, answers, score_above)
    return figures


def _keypoint_error(
    scenes: data.Scenes, answers: Sequence[Detections], score_above: float
) -> float:
    """Mean distance over the face's size sqrt(w h), found faces of 24 px and more."""
    errors = []
    labels = zip(scenes.boxes, scenes.ignored, scenes.keypoints, strict=True)
    for found, (box, skip, five) in zip(answers, labels, strict=True):
        if not len(box) or not len(found.boxes):
            continue
        table = overlap(found.boxes, box)
        for k in np.flatnonzero(~skip):
            side = box[k, 2:] - box[k, :2]
            best = int(table[:, k].argmax())
            known = np.isfinite(five[k]).all(1)
            if side.min() < 24 or table[best, k] < 0.5 or found.scores[best] < score_above:
                continue
            distance = np.linalg.norm(found.keypoints[best] - five[k], axis=1)[known]
            errors += list(distance / np.sqrt(side.prod()))
    return round(float(np.mean(errors)), 4) if errors else float("nan")


def false_alarms(find: Find, pictures: Sequence[Grey] | None = None) -> Float:
    """Scores of everything found in pictures without faces (the unseen ones), float32[N]."""
    chosen = data.negatives() if pictures is None else pictures
    return np.concatenate([find(p).scores for p in chosen])


def clip_figures(
    finds: Sequence[tuple[str, Find]], pattern: str = "*.mkv", limit: int = 400, step: int = 1
) -> dict[str, Any]:
    """Per detector: frames in which it finds a face, and extra boxes; threshold as in `finds`.

    The signing clips show one person each, face to the camera.
    """
    figures: dict[str, Any] = {}
    for path in sorted((packs_folder() / "videos").glob(pattern)):
        counts: dict[str, list[int]] = {name: [] for name, _ in finds}
        for i, picture in enumerate(greys(path)):
            if i >= limit:
                break
            if i % step == 0:
                for name, find in finds:
                    counts[name].append(len(find(picture).scores))
        figures[path.name] = {
            name: {
                "frames": len(c),
                "found": round(float(np.mean(np.array(c) > 0)), 4),
                "more_than_one": round(float(np.mean(np.array(c) > 1)), 4),
            }
            for name, c in counts.items()
        }
    return figures


def zoomed_figures(find: Find, score_above: float) -> dict[str, Any]:
    """Unseen portraits enlarged and cut so that one face has a given height: how many are found.

    The faces of the scenes' validation pictures with sides of 48 px and more, at 25 to 90 % of the
    height of a 640x480 picture.
    """
    result: dict[str, Any] = {}
    scenes = data.scenes()
    for share in (0.15, 0.25, 0.5, 0.7, 0.9):
        hits = total = 0
        for picture, box, skip in zip(scenes.pictures, scenes.boxes, scenes.ignored, strict=True):
            for k in np.flatnonzero(~skip):
                if (box[k, 2:] - box[k, :2]).min() < 48:
                    continue
                scale = 480 * share / float(box[k, 3] - box[k, 1])
                middle = (box[k, :2] + box[k, 2:]) / 2
                matrix = np.array(
                    [[scale, 0, 320 - scale * middle[0]], [0, scale, 240 - scale * middle[1]]]
                )
                view = cv2.warpAffine(picture, matrix, (640, 480), flags=cv2.INTER_LINEAR)
                half = (box[k, 2:] - box[k, :2]) * scale / 2
                centre = np.array([320, 240], np.float32)
                wanted = np.concatenate([centre - half, centre + half])[None]
                found = find(np.asarray(view, np.uint8))
                good = found.scores >= score_above
                total += 1
                hits += bool((overlap(found.boxes[good], wanted.astype(np.float32)) >= 0.5).any())
        result[f"{share:.0%}"] = {"faces": total, "found": round(hits / max(total, 1), 4)}
    return result
