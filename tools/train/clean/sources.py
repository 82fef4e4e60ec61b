"""Training data whose terms allow any use: what `--data clean` trains on, and nothing else.

- faces rendered from ICT-FaceKit's geometry (MIT) by `tools.render`;
- SFHQ's synthetic faces (MIT), labelled by MediaPipe FaceMesh v2 and blendshapes and by
  PFLD-GhostOne (Apache-2.0);
- Intel's sample videos (CC BY 4.0, "Intel, sample-videos"), boxes by YuNet (Apache-2.0),
  RetinaFace-mobilenet0.25 (MIT) and BlazeFace (Apache-2.0);
- procedural backgrounds.

Whatever is chosen (thresholds, temperature, ranges) is chosen on held-out parts of the same; the
validation parts of the other packs are only measured on, so that both sets of models can be
compared.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from agent.base.types import Float, Grey
from agent.vision.faces.align import MEAN_SHAPE, five_points, similarity
from tools.common.packs import decode, load
from tools.render.backdrop import backdrop
from tools.train.clean.render import Rendered, load_rendered
from tools.train.detector import sources as detector_sources
from tools.train.detector.labels import Labels, clip, join, move, nothing, warp
from tools.train.detector.paste import GONE, HIDDEN, blend, face_box
from tools.train.landmarks import data as landmarks_data

TERMS = "Trained only on sources whose terms allow any use; see CARD.md."
SYNTHETIC = "432 SFHQ synthetic faces (MIT)"
RENDERED = "faces rendered from ICT-FaceKit geometry (MIT) with procedural skin, hair and light"
TEACHERS = "labels of SFHQ: MediaPipe FaceMesh v2 and blendshapes, PFLD-GhostOne (Apache-2.0)"
INTEL = "76 frames of Intel sample-videos (CC BY 4.0), boxes by YuNet, RetinaFace and BlazeFace"
BACKGROUNDS = "procedural backgrounds; face-free pieces of the Intel frames"
DETECTOR: tuple[str, ...] = (
    f"{RENDERED}: single, pasted and in groups",
    SYNTHETIC,
    INTEL,
    BACKGROUNDS,
)
HELD_OUT = 40
"""SFHQ's last training faces, kept for what is chosen."""
LATER = 900_000
"""Seed of the held-out backgrounds."""

# Where the teachers put each point, less where the face space has it: medians over 64 rendered
# near-frontal faces, made symmetric, thousandths of the IOD in the mean shape's frame. Rendered and
# SFHQ labels then mean the same; FaceMesh agrees to 2.2 % of the IOD with the moved points.
_SHIFT: Float = np.array(
    [
        *[(-27, 38), (-15, 10), (-15, -4), (-15, -11), (-31, -56), (-62, -86), (-42, -50)],
        *[(-23, -29), (0, -36), (23, -29), (42, -50), (62, -86), (31, -56), (15, -11)],
        *[(15, -4), (15, 10), (27, 38), (-15, -32), (-27, -7), (-35, -7), (-63, -2)],
        *[(-23, -18), (23, -18), (63, -2), (35, -7), (27, -7), (15, -32), (0, -2), (0, 36)],
        *[(0, 58), (0, 8), (6, -41), (-11, -14), (0, -21), (11, -14), (-6, -41), (-6, 5)],
        *[(7, 3), (0, 6), (10, 12), (-1, 23), (15, 24), (-10, 12), (0, 6), (-7, 3), (6, 5)],
        *[(-15, 24), (1, 23), (14, 4), (36, -7), (5, 2), (0, 11), (-5, 2), (-36, -7)],
        *[(-14, 4), (-52, 27), (-37, 12), (0, 5), (37, 12), (52, 27), (5, 2), (52, -6)],
        *[(0, -7), (-52, -6), (-5, 2), (-59, 10), (0, 6), (59, 10)],
    ],
    np.float32,
) * np.float32(0.001)


def as_labelled(points: Float, yaw: Float) -> Float:
    """Rendered points float32[N, 68, 2] moved to where the teachers of SFHQ would put them."""
    moved = points.copy()
    for k, one in enumerate(points):
        linear = similarity(MEAN_SHAPE[17:], one[17:])[:, :2]
        shift = _SHIFT * np.array([np.cos(np.radians(yaw[k])), 1.0], np.float32)
        moved[k] = one + shift @ linear.T
    return moved


@cache
def _rendered(held_out: bool) -> tuple[Rendered, Float]:
    faces = load_rendered("faces", held_out)
    return faces, as_labelled(faces.points, faces.pose[:, 0])


def synthetic_rows(part: str) -> NDArray[np.int64]:
    """Rows of SFHQ's faces in the faces pack: part `train`, `held_out` or `valid`."""
    labels = load("faces_labels.npz")
    source = list(labels["source_names"]).index("sfhq_synthetic")
    rows = np.flatnonzero((labels["source"] == source) & (labels["split"] == (part == "valid")))
    if part == "valid":
        return rows
    return rows[:-HELD_OUT] if part == "train" else rows[-HELD_OUT:]


def backdrops(count: int, seed: int, height: int = 256, width: int = 320) -> list[Grey]:
    """Procedural face-free pictures."""
    return [backdrop(np.random.default_rng(seed + k), height, width) for k in range(count)]


def _intel(split: int) -> tuple[list[Grey], list[Labels]]:
    scenes = load("scenes.npz")
    own = (scenes["source"] == "intel_ccby_frames") & (scenes["split"] == split)
    pictures, labels = [], []
    for i in np.flatnonzero(own):
        rows = np.flatnonzero(scenes["box_img"] == i)
        pictures.append(decode(scenes["jpeg"], scenes["off"], int(i)))
        labels.append(
            Labels(
                scenes["box"][rows].astype(np.float32),
                scenes["kps"][rows].astype(np.float32),
                scenes["ignore"][rows] == 1,
            )
        )
    return pictures, labels


def pieces(split: int, seed: int, each: int = 6) -> list[Grey]:
    """Parts of the Intel frames that hold no face: hands, clothes, walls, furniture."""
    rng = np.random.default_rng(seed)
    found = []
    for picture, labels in zip(*_intel(split), strict=True):
        height, width = picture.shape
        kept = 0
        for _ in range(40):
            side = int(rng.uniform(0.2, 0.6) * height)
            x, y = int(rng.integers(0, width - side)), int(rng.integers(0, height - side))
            if not apart(labels.box, x, y, side):
                continue
            found.append(picture[y : y + side, x : x + side].copy())
            kept += 1
            if kept == each:
                break
    return found


def apart(boxes: Float, x: int, y: int, side: int) -> bool:
    """True where a square with its corner at x, y stays clear of all boxes float32[N, 4].

    A third of a box's size beside it counts as part of the face.
    """
    grow = 0.35 * (boxes[:, 2:] - boxes[:, :2])
    low, high = boxes[:, :2] - grow, boxes[:, 2:] + grow
    return not ((low < [x + side, y + side]) & (high > [x, y])).all(1).any()


def landmarks() -> landmarks_data.Sources:
    """What the landmark network learns from."""
    return landmarks_data.Sources(
        _landmark_faces("train"),
        backdrops(500, 1) + pieces(0, 2),
        landmarks_data.load_faces(1),
        landmarks_data.load_negatives(1),
        (RENDERED, SYNTHETIC, TEACHERS, BACKGROUNDS),
        TERMS,
        _landmark_faces("held_out"),
        backdrops(120, LATER) + pieces(1, 3),
    )


def _landmark_faces(part: str) -> landmarks_data.Faces:
    drawn, points = _rendered(part == "held_out")
    labels, pack = load("faces_labels.npz"), load("faces.npz")
    rows = synthetic_rows(part)
    names = ("synthetic", "rendered")
    many, few = len(points), len(rows)
    side = np.array([p.shape[::-1] for p in drawn.pictures], np.float32)[:, None] - 1
    inside = ((points >= 0) & (points <= side)).all(2)
    return landmarks_data.Faces(
        [decode(pack["jpeg"], pack["off"], int(i)) for i in rows] + drawn.pictures,
        np.concatenate([labels["lm68"][rows].astype(np.float32), points]),
        np.concatenate(
            [labels["vis68"][rows].astype(np.float32), (drawn.visible & inside).astype(np.float32)]
        ),
        np.repeat(np.array([0, 1], np.uint8), [few, many]),
        np.concatenate(
            [labels["pose_yaw_pitch_roll"][rows, 0].astype(np.float32), drawn.pose[:, 0]]
        ),
        # photographs look more like photographs: a third of all draws
        np.repeat(np.array([0.5 * many / few, 1.0], np.float32), [few, many]),
        names,
    )


def detector() -> detector_sources.Sources:
    """What the face detector learns from."""
    cv2.setNumThreads(1)  # OpenCV's threads do not survive the fork of the drawing process
    faces, points = _rendered(False)
    labels, pack = load("faces_labels.npz"), load("faces.npz")
    rows = synthetic_rows("train")
    ground = backdrops(700, 5) + pieces(0, 6)
    frames, frame_labels = _intel(0)
    drawn, drawn_labels = compositions(600, faces, points, ground, 7)
    many, few = len(points), len(rows)
    return detector_sources.Sources(
        [*frames, *drawn],
        [*frame_labels, *drawn_labels],
        np.repeat(np.array([2.5, 1.0], np.float32), [len(frames), len(drawn)]),
        [decode(pack["jpeg"], pack["off"], int(i)) for i in rows] + faces.pictures,
        np.concatenate([labels["lm68"][rows].astype(np.float32), points]),
        np.repeat(np.array([0.8 * many / few, 1.0], np.float32), [few, many]),
        np.zeros(few + many, bool),
        ground,
    )


def detector_blanks() -> list[Grey]:
    """Held-out face-free pictures on which the detector's threshold is chosen."""
    return backdrops(200, LATER + 1000) + pieces(1, 8, 12)


def detector_scenes() -> tuple[list[Grey], list[Labels]]:
    """Held-out people before held-out backgrounds, and the held-out Intel frames, on which the
    probability of a face is fitted."""
    faces, points = _rendered(True)
    drawn, labels = compositions(120, faces, points, backdrops(60, LATER + 2000), 9)
    frames, frame_labels = _intel(1)
    return [*frames, *drawn], [*frame_labels, *labels]


def compositions(
    count: int, faces: Rendered, points: Float, ground: Sequence[Grey], seed: int
) -> tuple[list[Grey], list[Labels]]:
    """Rendered people, cut out along their outline, before backgrounds: 480x360, 10 to 200 px."""
    rng = np.random.default_rng(seed)
    pictures, every = [], []
    for _ in range(count):
        base = ground[int(rng.integers(len(ground)))]
        canvas = np.asarray(cv2.resize(base, (480, 360), interpolation=cv2.INTER_LINEAR), np.uint8)
        labels = nothing()
        amount = 1 if rng.random() < 0.25 else int(rng.integers(2, 10))
        top = 200 if amount < 4 else 90
        tall = np.sort(np.exp(rng.uniform(np.log(9), np.log(top), amount)))
        for height in tall:
            labels = _stand(
                canvas, labels, faces, points, int(rng.integers(len(points))), height, rng
            )
        pictures.append(canvas)
        every.append(labels)
    return pictures, every


def _stand(
    canvas: Grey,
    labels: Labels,
    faces: Rendered,
    points: Float,
    i: int,
    height: float,
    rng: np.random.Generator,
) -> Labels:
    """One person in front of those who are there already; the body goes on below the picture."""
    own = points[i]
    box = face_box(own)
    scale = height / float(box[3] - box[1])
    below = faces.pictures[i].shape[0]
    piece = cv2.copyMakeBorder(faces.pictures[i], 0, below, 0, 0, cv2.BORDER_REPLICATE)
    alpha = cv2.copyMakeBorder(faces.alphas[i], 0, below, 0, 0, cv2.BORDER_REPLICATE)
    middle = (box[:2] + box[2:]) / 2
    target = rng.uniform([0.05, 0.08], [0.95, 0.75]) * [canvas.shape[1], canvas.shape[0]]
    mirror = -1.0 if rng.random() < 0.5 else 1.0
    linear = np.diag([scale * mirror, scale]).astype(np.float32)
    matrix = np.concatenate([linear, (target - linear @ middle)[:, None]], 1).astype(np.float32)
    five = five_points(own)
    one = move(Labels(box[None], five[None], np.zeros(1, bool)), matrix, mirror < 0)
    one = clip(one, 0, 0, canvas.shape[1] - 1, canvas.shape[0] - 1)
    if not len(one.box):
        return labels
    over = np.zeros(canvas.shape, np.uint8)
    warp(np.asarray(alpha, np.uint8), matrix, over)
    blend(
        canvas,
        np.asarray(piece, np.uint8),
        np.asarray(alpha, np.uint8),
        matrix,
        float(rng.uniform(0, 0.4)),
    )
    return join([_behind(labels, over), one])


def _behind(labels: Labels, over: Grey) -> Labels:
    """Labels after what `over` uint8[H, W] covers was painted over: ignored, or gone."""
    share = np.zeros(len(labels.box), np.float32)
    for k, box in enumerate(labels.box):
        x0, y0 = np.floor(box[:2]).astype(int)
        x1, y1 = np.ceil(box[2:]).astype(int) + 1
        share[k] = over[y0:y1, x0:x1].mean() / 255
    hidden = Labels(labels.box, labels.five, labels.ignore | (share > HIDDEN))
    return hidden.take(share < GONE)
