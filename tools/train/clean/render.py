"""Rendered training faces, drawn once.

Writes `runs/clean/<kind>-<number>.npz`, one shard after another; a shard that is there is not drawn
again, and each depends on its own seed alone. No photograph takes part: see `tools.render`.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from agent.base.types import EXPRESSIONS, Float, Grey
from tools.common.files import ROOT, npz, save_atomically
from tools.common.progress import along
from tools.render import Face, person, render, scene
from tools.render import skin as skins

FOLDER = ROOT / "runs" / "clean"
SHARD = 500
"""Faces per file."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A family of rendered faces."""

    size: int
    iod: tuple[float, float]
    shards: int
    valid: int
    """The last shards, other people, are held out for thresholds and temperatures."""
    prototypes: float
    """Share with one of the eight expressions; the others show any coefficients."""
    seed: int


KINDS = {
    "faces": Kind(160, (0.26, 0.42), 6, 1, 0.5, 61_000),
    "expressions": Kind(96, (0.36, 0.46), 6, 1, 0.85, 62_000),
}


@dataclass(frozen=True, slots=True, eq=False)
class Rendered:
    """Rendered faces of some shards."""

    pictures: list[Grey]
    """uint8[S, S] each."""
    alphas: list[Grey]
    """uint8[S, S] each: 255 where the person covers the background."""
    points: Float
    """float32[N, 68, 2], picture pixels."""
    visible: NDArray[np.bool_]
    """bool[N, 68]."""
    units: Float
    """float32[N, 12], exact, in `agent.base.types.ACTION_UNITS` order."""
    expression: NDArray[np.int8]
    """int8[N]: index into `EXPRESSIONS`, -1 for a mixture of coefficients."""
    strength: Float
    """float32[N], of the prototype, in [0, 1]."""
    pose: Float
    """float32[N, 3]: yaw, pitch, roll, degrees."""
    masked: NDArray[np.bool_]
    """bool[N]: wears a face mask."""


def draw(kind: str) -> None:
    """Draw the shards of `kind` that are missing, with progress."""
    missing = [k for k in range(KINDS[kind].shards) if not _path(kind, k).is_file()]
    for k in missing:
        save_atomically(_path(kind, k), _shard(kind, k))


def load_rendered(kind: str, held_out: bool = False) -> Rendered:
    """Training shards, or the held-out ones. SystemExit where they have not been drawn yet."""
    spec = KINDS[kind]
    first = spec.shards - spec.valid
    numbers = range(first, spec.shards) if held_out else range(first)
    lost = [k for k in numbers if not _path(kind, k).is_file()]
    if lost:
        raise SystemExit(
            f"{len(lost)} files of rendered faces are missing, first {_path(kind, lost[0])}: "
            "run python -m tools.train.clean.prepare."
        )
    parts: list[dict[str, NDArray[Any]]] = []
    for k in numbers:
        with np.load(_path(kind, k)) as pack:
            parts.append({name: pack[name] for name in pack.files})
    joined = {
        name: np.concatenate([part[name] for part in parts])
        for name in parts[0]
        if not name.startswith(("picture", "alpha"))
    }
    return Rendered(
        [p for part in parts for p in _decoded(part, "picture")],
        [p for part in parts for p in _decoded(part, "alpha")],
        joined["points"],
        joined["visible"],
        joined["units"],
        joined["expression"],
        joined["strength"],
        joined["pose"],
        joined["masked"],
    )


def _path(kind: str, number: int) -> Path:
    return FOLDER / f"{kind}-{number:03d}.npz"


def _shard(kind: str, number: int) -> bytes:
    found = list(along(_drawn(kind, number), f"{kind} {number}", SHARD))
    data: dict[str, NDArray[Any]] = {}
    jpeg = [cv2.IMWRITE_JPEG_QUALITY, 93]
    _pack(data, "picture", [cv2.imencode(".jpg", f.picture, jpeg)[1] for f, _, _ in found])
    matte = [np.rint(f.alpha * 255).astype(np.uint8) for f, _, _ in found]
    _pack(data, "alpha", [cv2.imencode(".png", a)[1] for a in matte])
    data["points"] = np.stack([f.landmarks for f, _, _ in found])
    data["visible"] = np.stack([f.visible for f, _, _ in found])
    data["units"] = np.stack([f.action_units for f, _, _ in found])
    data["expression"] = np.array([label for _, label, _ in found], np.int8)
    data["strength"] = np.array([strength for _, _, strength in found], np.float32)
    pose = [(f.scene.yaw, f.scene.pitch, f.scene.roll) for f, _, _ in found]
    data["pose"] = np.array(pose, np.float32)
    data["masked"] = np.array([f.scene.person.mask > 0 for f, _, _ in found])
    return npz(data, compressed=False)


def _drawn(kind: str, number: int) -> Iterator[tuple[Face, int, float]]:
    spec = KINDS[kind]
    rng = np.random.default_rng(spec.seed + number)
    who, paint = None, None
    for k in range(SHARD):
        if k % 20 == 0:
            paint = skins.paint(rng)
        if who is None or k % 4 == 0:
            who = person(rng, paint)
        label, strength, name = -1, 0.0, "mixture"
        if rng.random() < spec.prototypes:
            label = int(rng.integers(len(EXPRESSIONS)))
            strength, name = float(rng.uniform(0.25, 1.0)), EXPRESSIONS[label]
            if label == 0 and rng.random() < 0.6:
                name = "speech"
        plan = scene(
            rng, who, size=spec.size, iod=spec.iod, expression=name, strength=(strength, strength)
        )
        yield render(plan), label, strength


def _pack(data: dict[str, NDArray[Any]], name: str, blobs: list[NDArray[np.uint8]]) -> None:
    data[name] = np.concatenate([blob.ravel() for blob in blobs])
    data[name + "_off"] = np.cumsum([0, *[blob.size for blob in blobs]]).astype(np.int64)


def _decoded(part: dict[str, NDArray[Any]], name: str) -> list[Grey]:
    blob, off = part[name], part[name + "_off"]
    return [
        np.asarray(cv2.imdecode(blob[a:b], cv2.IMREAD_GRAYSCALE), np.uint8)
        for a, b in itertools.pairwise(off)
    ]
