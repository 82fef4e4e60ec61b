"""`fleeting inspect`: the faces that the models find in still pictures."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from agent.base.config import AgentConfig
from agent.base.errors import CaptureError, ConfigError
from agent.base.types import ACTION_UNITS, EXPRESSIONS, Expression, Float, Frame, Grey
from agent.vision.faces.align import EXPRESSION_CROP, MEAN_SHAPE, five_points
from agent.vision.faces.detect import tiles_for
from agent.vision.faces.landmarks import LandmarkEstimate
from agent.vision.faces.pose import measure_head
from agent.vision.faces.track import intersection_over_smaller
from agent.vision.inference.manifest import load_manifest, models_folder
from agent.vision.pipeline import Models

_WEAK = 0.3
"""Detector's score from which a place is looked at with the landmark network at all."""
_FINE = 240
"""Pixels; larger stills are also looked at in tiles: nobody waits, and small faces are found."""
_INSIDE = 0.7
"""Share of a box inside another from which they are taken for one face."""
_LARGE = 2000
"""Pixels; in larger pictures no face is looked for that is cut by the edges."""
SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".pgm", ".ppm"}


def pictures(paths: Sequence[Path]) -> Iterator[Path]:
    """The files named, and the pictures inside the folders named, in order of name."""
    for path in paths:
        if path.is_dir():
            yield from sorted(
                entry
                for entry in path.rglob("*")
                if entry.suffix.lower() in SUFFIXES and entry.is_file()
            )
        else:
            yield path


def read_grey(path: Path) -> Grey:
    """One picture as uint8[H, W]. Raises `CaptureError`."""
    try:
        data = np.fromfile(path, np.uint8)
    except OSError as error:
        raise CaptureError(f"{path} cannot be read: {error.strerror}.") from None
    picture = None
    if data.size:
        try:
            picture = cv2.imdecode(data, cv2.IMREAD_GRAYSCALE)
        except cv2.error:
            picture = None
    if picture is None:
        raise CaptureError(f"{path} is not a picture that can be decoded.")
    return np.asarray(picture, np.uint8)


class Inspector:
    """Runs the models on single pictures. No tracking, no neutral baseline.

    Parameters
    ----------
    config : AgentConfig
    min_score : float | None
        Score from which a face is listed, in (0, 1). None: `detection.score_above` of the
        configuration, else `still_above` of the detector's card, which is so high that at most one
        of a hundred pictures without faces shows one.
    """

    def __init__(self, config: AgentConfig, min_score: float | None = None) -> None:
        above = config.detection.score_above if min_score is None else min_score
        if above is None:
            folder = models_folder(config.models)
            card = load_manifest(folder, config.model_set).parameters("detector")
            above = float(card.get("still_above", card["score_above"]))
        if not 0.0 < above < 1.0:
            raise ConfigError(f"--min-score must lie between 0 and 1; it is {above:g}.")
        self._score_above = above
        looked_at = config.detection.model_copy(update={"score_above": min(above, _WEAK)})
        self._models = Models(config.model_copy(update={"detection": looked_at}))
        self._tiles = config.detection.tiles

    def lines(self, paths: Iterable[Path], crop: bool) -> Iterator[dict[str, Any]]:
        """One record per picture; an unreadable one has `error` and the run goes on."""
        for path in paths:
            try:
                luma = read_grey(path)
            except CaptureError as error:
                yield {"image": str(path), "error": str(error)}
                continue
            faces = self.crop(luma) if crop else self.picture(luma)
            yield {"image": str(path), "faces": faces}

    def picture(self, luma: Grey) -> list[dict[str, Any]]:
        """Every face of a picture uint8[H, W], strongest first; coordinates in its pixels.

        `score` is the detector's, halved where the landmark network is certain to see no face. A
        picture without any face is looked at once more from further away: the detector knows faces
        with something around them, and stills are often cut at the chin.
        """
        tiles = self._tiles
        if tiles is None:
            tiles = max(tiles_for(luma.shape), 2 if max(luma.shape) >= _FINE else 0)
        faces = self._faces(luma, tiles, 0)
        if not faces and max(luma.shape) <= _LARGE:
            pad = max(luma.shape) // 3
            wide = cv2.copyMakeBorder(luma, pad, pad, pad, pad, cv2.BORDER_REPLICATE)
            faces = self._faces(np.asarray(wide, np.uint8), 0, pad)
        kept: list[dict[str, Any]] = []
        for face in sorted(faces, key=lambda face: -float(face["score"])):
            box = np.array(face["box"], np.float32)
            # A weaker face inside a stronger one is its mouth, or the same face from a tile.
            if all(
                intersection_over_smaller(box, np.array(k["box"], np.float32)) < _INSIDE
                for k in kept
            ):
                kept.append(face)
        return kept

    def _faces(self, luma: Grey, tiles: int, pad: int) -> list[dict[str, Any]]:
        """Faces of a picture that has `pad` pixels around it; coordinates without them."""
        height, width = luma.shape[0] - 2 * pad, luma.shape[1] - 2 * pad
        edge = np.array([width, height, width, height], np.float32) - 1
        found = self._models.detector(Frame(0.0, luma), tiles)
        faces = []
        for box, score, keypoints in zip(found.boxes, found.scores, found.keypoints, strict=True):
            placed = self._models.landmarks.refine(luma, keypoints)
            joint = float(score) * (0.5 + 0.5 * placed.presence)
            if joint >= self._score_above:
                answer = self._models.expression(luma, placed.points)
                inside = np.clip(box - pad, 0, edge)
                faces.append(_record(inside, joint, keypoints, placed, answer, pad))
        return faces

    def crop(self, luma: Grey) -> list[dict[str, Any]]:
        """A picture that is one face, framed like FER pictures or looser.

        The expression is read from the whole picture; landmarks start from where such a framing
        puts them, or from the detector's keypoints when it finds a face and they fit better.
        """
        height, width = luma.shape
        scale = np.array([width, height], np.float32) / EXPRESSION_CROP.size
        start = (EXPRESSION_CROP.place(MEAN_SHAPE) + 0.5) * scale - 0.5
        found = self._models.detector(Frame(0.0, luma), 0)
        starts = [start.astype(np.float32), *found.keypoints[:1]]
        placed = max(
            (self._models.landmarks.refine(luma, guess) for guess in starts),
            key=lambda candidate: candidate.presence,
        )
        size = EXPRESSION_CROP.size
        shrinking = min(height, width) > size
        whole = cv2.resize(
            luma, (size, size), interpolation=cv2.INTER_AREA if shrinking else cv2.INTER_LINEAR
        )
        answer = self._models.expression.classify_crop(np.asarray(whole, np.uint8))
        box = np.array([0, 0, width, height], np.float32)
        keypoints = found.keypoints[0] if len(found.keypoints) else five_points(placed.points)
        score = float(found.scores[0]) if len(found.scores) else placed.presence
        return [_record(box, score, keypoints, placed, answer)]


def show(
    paths: Sequence[Path],
    config: AgentConfig,
    *,
    as_json: bool,
    crop: bool,
    min_score: float | None = None,
) -> int:
    """Print what each picture shows; 1 when no picture could be read."""
    readable = 0
    for line in Inspector(config, min_score).lines(pictures(paths), crop):
        readable += "error" not in line
        if as_json:
            print(json.dumps(line), flush=True)
        else:
            print(_sentence(line), flush=True)
    return 0 if readable else 1


def _sentence(line: dict[str, Any]) -> str:
    if "error" in line:
        return str(line["error"])
    parts = [f"{line['image']}: {len(line['faces'])} face(s)"]
    for face in line["faces"]:
        name = max(face["expression"], key=face["expression"].get)
        share = face["expression"][name]
        label = f"unsure ({name}?)" if face["unsure"] else name
        x1, y1, x2, y2 = (round(v) for v in face["box"])
        parts.append(
            f"  {label} {share:.2f}, valence {face['valence']:+.2f}, "
            f"yaw {face['pose']['yaw']:+.0f}°, box {x1},{y1}-{x2},{y2}, score {face['score']:.2f}"
        )
    return "\n".join(parts)


def _record(
    box: Float,
    score: float,
    keypoints: Float,
    placed: LandmarkEstimate,
    answer: Expression,
    pad: int = 0,
) -> dict[str, Any]:
    pose = measure_head(placed.points).pose
    return {
        "box": _rounded(box),
        "score": round(score, 4),
        "keypoints": _rounded(keypoints - pad),
        "landmarks": _rounded(placed.points - pad),
        "presence": round(placed.presence, 4),
        "pose": {
            "yaw": round(pose.yaw, 1),
            "pitch": round(pose.pitch, 1),
            "roll": round(pose.roll, 1),
        },
        "expression": {
            name: round(float(p), 4)
            for name, p in zip(EXPRESSIONS, answer.probabilities, strict=True)
        },
        "unsure": answer.unsure,
        "valence": round(answer.valence, 3),
        "arousal": round(answer.arousal, 3),
        "action_units": {
            name: round(float(value), 3)
            for name, value in zip(ACTION_UNITS, answer.action_units, strict=True)
        },
    }


def _rounded(values: Float) -> list[Any]:
    return [
        [round(float(v), 2) for v in row] if np.ndim(row) else round(float(row), 2)
        for row in values
    ]
