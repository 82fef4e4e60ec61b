"""What a face detector finds: average precision, false alarms, clips; and YuNet next to it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from agent.base.types import Detections, Float, Frame, Grey
from agent.vision.faces.detect import STRIDES, FaceDetector, letterbox
from agent.vision.kernels.nms import nms
from tools.train.detector_labels import OUTPUTS
from tools.train.lite import LiteModel
from tools.train.packs import decode, load, packs_folder

Find = Callable[[Grey], Detections]
LOWEST = 0.02
"""Score from which detections enter a precision-recall curve."""
SMALL = (0, 16, 24)
"""Shortest side, picture pixels, from which a face counts; smaller ones neither help nor hurt."""


def ours(file: bytes, score_above: float = LOWEST) -> Find:
    """The shipped way: FaceDetector over a LiteRT file."""
    model = LiteModel(file)
    detector = FaceDetector(
        lambda picture: dict(zip(OUTPUTS, model(picture), strict=True)), score_above
    )
    return lambda luma: detector(Frame(0.0, luma))


def yunet(score_above: float = LOWEST, nms_above: float = 0.3) -> Find:
    """YuNet-n (Wu et al. 2023), 320x320, picture in the top-left corner, three equal channels."""
    import onnxruntime  # type: ignore[import-not-found,unused-ignore]  # only this comparison

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        str(packs_folder() / "teachers" / "yunet_n_320_320.onnx"),
        options,
        providers=["CPUExecutionProvider"],
    )
    argument = session.get_inputs()[0].name
    names = [o.name for o in session.get_outputs()]

    def find(luma: Grey) -> Detections:
        square = np.zeros((320, 320), np.uint8)
        across, down = letterbox(luma, square)
        picture = np.broadcast_to(square.astype(np.float32), (1, 3, 320, 320))
        answer = dict(zip(names, session.run(None, {argument: picture.copy()}), strict=True))
        boxes, scores, points = [], [], []
        for s in STRIDES:
            score = np.sqrt(
                np.clip(answer[f"cls_{s}"].ravel(), 0, 1)
                * np.clip(answer[f"obj_{s}"].ravel(), 0, 1)
            )
            cells = np.flatnonzero(score > score_above)
            row, column = np.divmod(cells, 320 // s)
            cell = np.stack([column, row], 1)
            code = answer[f"bbox_{s}"].reshape(-1, 4)[cells]
            middle, half = (cell + code[:, :2]) * s, np.exp(code[:, 2:]) * s / 2
            boxes.append(np.concatenate([middle - half, middle + half], 1))
            scores.append(score[cells])
            five = answer[f"kps_{s}"].reshape(-1, 5, 2)[cells]
            points.append((cell[:, None] + five) * s)
        box, score = np.concatenate(boxes).astype(np.float32), np.concatenate(scores)
        keep = nms(box, score.astype(np.float32), nms_above)
        scale = np.array([across, down, across, down], np.float32)
        return Detections(
            (box[keep] / scale).astype(np.float32),
            score[keep].astype(np.float32),
            (np.concatenate(points)[keep] / scale[:2]).astype(np.float32),
        )

    return find


def overlap(a: Float, b: Float) -> Float:
    """IoU float32[N, M] of xyxy boxes."""
    low, high = (
        np.maximum(a[:, None, :2], b[None, :, :2]),
        np.minimum(a[:, None, 2:], b[None, :, 2:]),
    )
    shared = np.maximum(high - low, 0).prod(2)
    area = (a[:, 2:] - a[:, :2]).prod(1)[:, None] + (b[:, 2:] - b[:, :2]).prod(1)[None]
    return np.asarray(shared / np.maximum(area - shared, 1e-6), np.float32)


def judge(
    found: Detections, box: Float, ignore: NDArray[np.bool_], smallest: float, iou: float = 0.5
) -> tuple[Float, NDArray[np.bool_], int]:
    """Match one picture's detections, strongest first, to its faces.

    Returns the scores that count, whether each is right, and the number of faces that count. What
    lies on an ignored or too small face, or is itself too small and wrong, does not count.
    """
    left_out = ignore | ((box[:, 2:] - box[:, :2]).min(1) < smallest if len(box) else ignore)
    table = overlap(found.boxes, box)
    free = np.ones(len(box), bool)
    scores, right = [], []
    for i, score in enumerate(found.scores):
        options = np.where(free & ~left_out, table[i], 0.0) if len(box) else np.zeros(0)
        best = int(options.argmax()) if len(options) else -1
        if best >= 0 and options[best] >= iou:
            free[best] = False
            scores.append(score)
            right.append(True)
            continue
        if left_out.any() and _inside(found.boxes[i], box[left_out]) >= 0.5:
            continue
        if (found.boxes[i, 2:] - found.boxes[i, :2]).min() < smallest:
            continue
        scores.append(score)
        right.append(False)
    return np.array(scores, np.float32), np.array(right, bool), int((~left_out).sum())


def _inside(box: Float, others: Float) -> float:
    """Largest share of `box` that lies in one of `others`."""
    low, high = np.maximum(others[:, :2], box[:2]), np.minimum(others[:, 2:], box[2:])
    shared = np.maximum(high - low, 0).prod(1)
    return float(shared.max() / max(float((box[2:] - box[:2]).prod()), 1e-6))


def average_precision(scores: Float, right: NDArray[np.bool_], faces: int) -> float:
    """Area under the interpolated precision-recall curve, all points (VOC 2010)."""
    if not faces:
        return float("nan")
    order = np.argsort(-scores, kind="stable")
    hits = np.cumsum(right[order])
    precision = hits / np.arange(1, len(hits) + 1)
    precision = np.maximum.accumulate(precision[::-1])[::-1]
    steps = np.diff(np.concatenate([[0], hits])) / faces
    return float((steps * precision).sum())


def scenes_valid() -> list[tuple[str, Grey, Float, NDArray[np.bool_], Float]]:
    """Source, picture, boxes, ignore flags and keypoints of the unseen scenes."""
    s = load("scenes.npz")
    rows = {int(i): np.flatnonzero(s["box_img"] == i) for i in np.flatnonzero(s["split"] == 1)}
    return [
        (
            str(s["source"][i]),
            decode(s["jpeg"], s["off"], i),
            s["box"][r].astype(np.float32),
            s["ignore"][r] == 1,
            s["kps"][r].astype(np.float32),
        )
        for i, r in rows.items()
    ]


def negatives_valid() -> list[Grey]:
    """The unseen pictures without faces."""
    n = load("negatives.npz")
    return [decode(n["jpeg"], n["off"], int(i)) for i in np.flatnonzero(n["split"] == 1)]


def scene_figures(find: Find, score_above: float) -> dict[str, Any]:
    """AP50 by source and face size; recall and precision at the threshold; keypoint error."""
    answers = [(source, find(p), box, skip, five) for source, p, box, skip, five in scenes_valid()]
    figures: dict[str, Any] = {}
    for source in [*sorted({a[0] for a in answers}), "all"]:
        part = [a for a in answers if source in ("all", a[0])]
        row: dict[str, Any] = {"pictures": len(part)}
        for smallest in SMALL:
            judged = [judge(f, box, skip, smallest) for _, f, box, skip, _ in part]
            scores = np.concatenate([j[0] for j in judged])
            right = np.concatenate([j[1] for j in judged])
            faces = sum(j[2] for j in judged)
            passed = scores >= score_above
            row[f"from_{smallest}_px"] = {
                "faces": faces,
                "ap50": round(average_precision(scores, right, faces), 4),
                "recall": round(float(right[passed].sum()) / max(faces, 1), 4),
                "precision": round(float(right[passed].mean()) if passed.any() else 1.0, 4),
            }
        figures[source] = row
    figures["keypoint_error"] = _keypoint_error(answers, score_above)
    return figures


def _keypoint_error(answers: Iterable[tuple[Any, ...]], score_above: float) -> float:
    """Mean distance over the face's size sqrt(w h), found faces of 24 px and more."""
    errors = []
    for _, found, box, skip, five in answers:
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
    chosen = negatives_valid() if pictures is None else pictures
    return np.concatenate([find(p).scores for p in chosen])


def frames(path: Path) -> Iterator[Grey]:
    """Grey frames of a clip."""
    clip = cv2.VideoCapture(str(path))
    while True:
        ok, picture = clip.read()
        if not ok:
            return
        yield np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY), np.uint8)


def clip_figures(
    finds: Sequence[tuple[str, Find]], pattern: str = "*.mkv", limit: int = 400, step: int = 1
) -> dict[str, Any]:
    """Per detector: frames in which it finds a face, and extra boxes; threshold as in `finds`.

    The signing clips show one person each, face to the camera.
    """
    figures: dict[str, Any] = {}
    for path in sorted((packs_folder() / "videos").glob(pattern)):
        counts: dict[str, list[int]] = {name: [] for name, _ in finds}
        for i, picture in enumerate(frames(path)):
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
    pictures = scenes_valid()
    for share in (0.15, 0.25, 0.5, 0.7, 0.9):
        hits = total = 0
        for _, picture, box, skip, _ in pictures:
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
