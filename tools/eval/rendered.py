"""Rendered faces whose landmarks and expression coefficients are known exactly.

Made anew from a fixed seed where they are not kept under runs/eval; nobody trains with that seed.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from agent.base.types import ACTION_UNITS, Float, Grey
from tools.common.files import ROOT
from tools.common.packs import packs_folder
from tools.common.progress import along
from tools.eval import cache

SEED = 20_261_121
FACES, PER_PERSON = 400, 4
PEOPLE, STEPS = 12, 6
"""Of the sweeps: how many people show each unit, in how many steps from 0 to 1."""
SIZE = 160
IOD = (0.30, 0.42)
"""Share of the picture's side: crops for landmarks then lie inside the picture."""


@dataclass(frozen=True, slots=True, eq=False)
class Rendered:
    """Faces of random people, poses, expressions and light."""

    pictures: list[Grey]
    points: Float
    """float32[N, 68, 2], picture pixels."""
    seen: NDArray[np.bool_]
    """bool[N, 68]: inside the picture and not hidden."""
    yaw: Float
    """Degrees."""
    person: NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Sweeps:
    """Resting faces of which one action unit grows, all else unchanged."""

    pictures: list[Grey]
    points: Float
    unit: NDArray[np.int64]
    """Index into `ACTION_UNITS`."""
    amount: Float
    """In [0, 1]."""
    person: NDArray[np.int64]


def available() -> bool:
    """True where the face geometry is among the packs."""
    return (packs_folder() / "render" / "ict_facekit.npz").is_file()


def faces(limit: int | None = None) -> Rendered:
    """The fixed set, or its first `limit`."""
    count = min(limit or FACES, FACES)
    stored = cache.remember("rendered faces", _key(count), lambda: _draw(count))
    return Rendered(
        list(stored["pictures"].astype(np.uint8)),
        stored["points"],
        stored["seen"] > 0,
        stored["yaw"],
        np.arange(count) // PER_PERSON,
    )


def sweeps(limit: int | None = None) -> Sweeps:
    """Every unit grown on several people; fewer people with `limit`."""
    people = PEOPLE if limit is None else min(max(limit // 25, 2), PEOPLE)
    stored = cache.remember("rendered sweeps", _key(people), lambda: _sweep(people))
    return Sweeps(
        list(stored["pictures"].astype(np.uint8)),
        stored["points"],
        stored["unit"].astype(np.int64),
        stored["amount"],
        stored["person"].astype(np.int64),
    )


def _key(count: int) -> str:
    """Changes with whatever a picture depends on."""
    digest = hashlib.sha256(f"{SEED} {count} {SIZE} {IOD} {STEPS} {PER_PERSON}".encode())
    sources = [*sorted((ROOT / "tools" / "render").glob("*.py")), Path(__file__)]
    for path in (*sources, packs_folder() / "render" / "ict_facekit.npz"):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:32]


def _draw(count: int) -> cache.Arrays:
    from tools.render.scene import faces as draw

    stream = draw(count, SEED, per_person=PER_PERSON, size=SIZE, iod=IOD)
    made = [face for _, face in zip(along(range(count), "rendering faces"), stream, strict=True)]
    return {
        "pictures": np.stack([face.picture for face in made]),
        "points": np.stack([face.landmarks for face in made]).astype(np.float32),
        "seen": np.stack([face.visible for face in made]).astype(np.uint8),
        "yaw": np.array([face.scene.yaw for face in made], np.float32),
    }


def _sweep(people: int) -> cache.Arrays:
    from tools.render.scene import sweep

    pictures, points, unit, amount, person = [], [], [], [], []
    plan = [(k, who) for k in range(len(ACTION_UNITS)) for who in range(people)]
    for k, who in along(plan, "rendering action units"):
        shown = sweep(
            ACTION_UNITS[k], STEPS, SEED + 1 + who, size=SIZE, iod=IOD, yaw=(-12, 12), pitch=(-8, 8)
        )
        for step, face in enumerate(shown):
            pictures.append(face.picture)
            points.append(face.landmarks)
            unit.append(k)
            amount.append(step / (STEPS - 1))
            person.append(who)
    return {
        "pictures": np.stack(pictures),
        "points": np.stack(points).astype(np.float32),
        "unit": np.array(unit),
        "amount": np.array(amount, np.float32),
        "person": np.array(person),
    }
