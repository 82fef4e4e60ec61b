"""Photographs of the clean set with other expressions.

Every face of SFHQ's training part and of `tools.train.clean.photographs` to which
`tools.render.reenact` fits the head well shows classes at random, its proportions varied. Writes
`runs/clean/reenacted-<number>.npz`, shard after shard, each by its own seed; one that is there is
not drawn again.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from agent.base.types import EXPRESSIONS, Float, Grey
from tools.common.files import ROOT, npz, save_atomically
from tools.common.packs import decode, load
from tools.common.progress import along
from tools.render import units
from tools.render.mesh import head
from tools.render.reenact import COMPONENTS, Fitted, Manner, fit, reenact
from tools.train.clean.convention import as_rendered
from tools.train.clean.photographs import CLIPS, photographs
from tools.train.clean.synthetic import synthetic_rows

FOLDER = ROOT / "runs" / "clean"
SHARD = 40
"""Photographs per file."""
EACH = 12
"""Pictures made of one photograph."""
SEED = 63_000
LARGEST = 150
"""Side of a photograph, pixels."""
POOR = 0.035
"""Mean error of the inner points, share of the IOD, beyond which the head does not fit."""
OPEN = 0.35
"""Of jawOpen or mouthSmile, from which a face is not brought to rest: its teeth would stay."""
SHARES = (0.2, 0.16, 0.13, 0.15, 0.15, 0.07, 0.09, 0.05)
"""How often each class is shown, in `EXPRESSIONS` order."""
EVERY_CLIP = 12
"""Of the labelled frames of a clip, one in so many."""
# what the teacher's blendshapes say of these is trusted; of eyes and nose it says little
_TRUSTED = ("brow", "jawOpen", "mouthSmile", "mouthFrown", "mouthPucker", "mouthFunnel")
_DOUBT = 0.12
"""Taken off a blendshape: a resting face has about as much."""


@dataclass(frozen=True, slots=True, eq=False)
class Drawn:
    """Pictures of re-enacted faces."""

    pictures: list[Grey]
    points: Float
    """float32[N, 68, 2], in the teachers' convention, picture pixels."""
    units: Float
    """float32[N, 12]."""
    expression: NDArray[np.int8]
    strength: Float
    photograph: NDArray[np.int32]
    """int32[N]: which photograph it was made of."""


@dataclass(frozen=True, slots=True, eq=False)
class _Photograph:
    picture: Grey
    points: Float
    blendshapes: Float


def draw() -> None:
    """Draw every shard that is missing."""
    every = _photographs()
    count = -(-len(every) // SHARD)
    for k in range(count):
        if not _path(k).is_file():
            part = every[k * SHARD : (k + 1) * SHARD]
            save_atomically(_path(k), _shard(part, k))


def load_reenacted() -> Drawn:
    """All shards. SystemExit where there is none."""
    paths = sorted(FOLDER.glob("reenacted-*.npz"))
    if not paths:
        raise SystemExit(f"No {_path(0)}: run python -m tools.train.clean.prepare.")
    parts: list[dict[str, NDArray[Any]]] = []
    for path in paths:
        with np.load(path) as pack:
            parts.append({name: pack[name] for name in pack.files})
    pictures = [
        decode(part["jpeg"], part["off"], i) for part in parts for i in range(len(part["off"]) - 1)
    ]
    names = ("points", "units", "expression", "strength", "photograph")
    return Drawn(pictures, *(np.concatenate([part[name] for part in parts]) for name in names))


def shown(blendshapes: Float, names: NDArray[np.str_]) -> Float:
    """The face space's coefficients float32[57] of MediaPipe's blendshapes float32[52].

    Both follow ARKit's names; only what the teacher measures well is taken over.
    """
    own = head().names
    out = np.zeros(len(own), np.float32)
    for name, value in zip(names, blendshapes, strict=True):
        plain = str(name).replace("Left", "_L").replace("Right", "_R")
        if not plain.startswith(_TRUSTED):
            continue
        amount = max(float(value) - _DOUBT, 0.0)
        for one in (plain, plain + "_L", plain + "_R"):
            if one in own:
                out[own.index(one)] = amount
    return out


def _photographs() -> list[_Photograph]:
    pack, labels = load("faces.npz"), load("faces_labels.npz")
    found = []
    for i in synthetic_rows("train"):
        picture = decode(pack["jpeg"], pack["off"], int(i))
        points = labels["lm68"][i].astype(np.float32)
        shapes = labels["blendshapes"][i].astype(np.float32) / 255
        found.append(_Photograph(picture, points, shapes))
    real = photographs()
    frames = np.arange(len(real.points)) % EVERY_CLIP == 0
    kept = ~real.masked & ((real.source != CLIPS) | frames)
    real = real.take(kept)
    found += [
        _Photograph(*one) for one in zip(real.pictures, real.points, real.blendshapes, strict=True)
    ]
    order = np.random.default_rng(SEED).permutation(len(found))
    return [found[i] for i in order]


def _shard(part: list[_Photograph], number: int) -> bytes:
    names = load("faces_labels.npz")["blendshape_names"]
    rng = np.random.default_rng(SEED + 1 + number)
    jpeg: list[NDArray[np.uint8]] = []
    rows: list[tuple[Float, Float, int, float, int]] = []
    for k, photograph in enumerate(along(part, f"re-enacted {number}")):
        for picture, points, own, expression, strength in _moved(photograph, names, rng):
            code = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 93])[1]
            jpeg.append(np.asarray(code, np.uint8).ravel())
            rows.append((points, own, expression, strength, number * SHARD + k))
    data: dict[str, NDArray[Any]] = {
        "jpeg": np.concatenate(jpeg),
        "off": np.cumsum([0, *[len(j) for j in jpeg]]).astype(np.int64),
        "points": np.stack([r[0] for r in rows]).astype(np.float32),
        "units": np.stack([r[1] for r in rows]).astype(np.float32),
        "expression": np.array([r[2] for r in rows], np.int8),
        "strength": np.array([r[3] for r in rows], np.float32),
        "photograph": np.array([r[4] for r in rows], np.int32),
    }
    return npz(data, compressed=False)


def _moved(
    photograph: _Photograph, names: NDArray[np.str_], rng: np.random.Generator
) -> Iterator[tuple[Grey, Float, Float, int, float]]:
    """Picture, points, units, class and strength of the photograph's versions."""
    picture, points = sized(photograph.picture, photograph.points)
    face = fit(picture, as_rendered(points), shown(photograph.blendshapes, names))
    iod = float(np.hypot(*(points[45] - points[36])))
    if face.error > POOR * iod:
        return
    own = dict(zip(head().names, face.coefficients.tolist(), strict=True))
    smiling = max(own["mouthSmile_L"], own["jawOpen"]) > OPEN
    for _ in range(EACH // 3 if smiling else EACH):
        label = int(rng.choice(len(EXPRESSIONS), p=SHARES))
        strength = float(rng.uniform(0.3, 1.0))
        yield _one(face, points, label, strength, rng)


def _one(
    face: Fitted, points: Float, label: int, strength: float, rng: np.random.Generator
) -> tuple[Grey, Float, Float, int, float]:
    if label:
        wanted = units.prototype(rng, EXPRESSIONS[label], strength)
        wanted = np.maximum(wanted, 0.1 * units.mixture(rng) * (rng.random(57) < 0.4))
    else:
        wanted = units.speech(rng)
    gaze = np.clip(rng.normal(0, 0.15, 2), -1, 1)
    wanted = units.look(wanted, float(gaze[0]), float(gaze[1])).astype(np.float32)
    manner = Manner(
        float(rng.uniform(0.7, 1.25)),
        float(rng.uniform(0.25, 0.7)),
        float(rng.uniform(0.0, 0.5)),
        (rng.standard_normal(COMPONENTS) * rng.uniform(0.2, 0.8)).astype(np.float32),
    )
    made = reenact(face, points, wanted, manner)
    return made.picture, made.landmarks, units.action_units(wanted), label, strength


def sized(picture: Grey, points: Float) -> tuple[Grey, Float]:
    """The face's surroundings, at most `LARGEST` pixels wide, and small faces enlarged."""
    shape = np.array(picture.shape[::-1], np.float32)
    middle, reach = points.mean(0), 1.35 * float(np.ptp(points, axis=0).max()) / 2 * 1.25
    low = np.maximum(np.floor(middle - reach), 0).astype(int)
    high = np.minimum(np.ceil(middle + reach), shape).astype(int)
    piece = picture[low[1] : high[1], low[0] : high[0]]
    scale = LARGEST / max(piece.shape)
    size = (round(piece.shape[1] * scale), round(piece.shape[0] * scale))
    by = np.array([size[0] / piece.shape[1], size[1] / piece.shape[0]], np.float32)
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    resized = np.asarray(cv2.resize(piece, size, interpolation=way), np.uint8)
    return resized, ((points - low + 0.5) * by - 0.5).astype(np.float32)


def _path(number: int) -> Any:
    return FOLDER / f"reenacted-{number:03d}.npz"
