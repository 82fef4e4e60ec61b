"""The landmark model's figures: error by slice and crop, noise on still faces, known distances."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agent.base.types import Float, Grey
from tools.common.bootstrap import Resampler, correlation, moments
from tools.common.errors import ToolError
from tools.common.progress import along
from tools.eval import data
from tools.eval.card import OURS
from tools.eval.data import Faces
from tools.eval.landmarks import distances
from tools.eval.landmarks.distances import INNER, errors, iod
from tools.eval.landmarks.measure import PARTS, YAWS
from tools.eval.landmarks.offered import presence_figures
from tools.eval.landmarks.still import still
from tools.eval.landmarks.subject import Subject, each_face, rough
from tools.eval.landmarks.truth import (
    against_rendered,
    against_youtube,
    placed_by,
    teachers_against_youtube,
)
from tools.eval.latency import network_latency
from tools.eval.ours import NO_FLOAT, Ours
from tools.eval.peers.landmarkers import LANDMARKERS, LandmarkPeer
from tools.eval.rendered import Rendered
from tools.train.landmarks import candidates

FLOAT = "ours, float"
STILLS = "ours, int8, stills"
"""As stills are looked at: the second pass takes the crop and its mirror image."""
WIDTHS = ((0, 50), (50, 70), (70, 80), (80, 200))
"""IOD, pixels of the pack's pictures."""
JITTER = (0.0, 0.5, 1.0, 2.0, 3.0)


def evaluate(
    ours: Ours, networks: Path, limit: int | None, rendered: Rendered | None
) -> dict[str, Any]:
    """All figures. Peers that cannot run, and truth that is not there, are named in `missing`."""
    notes: dict[str, str] = {}
    try:
        faces, refined = data.faces(limit, refined=True), True
    except ToolError as error:
        notes["distance to the labels of training"] = str(error)
        faces, refined = data.faces(limit), False
    people = Resampler(faces.person)
    own, stills = subject(OURS, ours), still_subject(ours)
    subjects = [own]
    exact = ours.exact("landmarks")
    if exact is None:
        notes[FLOAT] = NO_FLOAT
    else:
        subjects.append(subject(FLOAT, ours, exact))
    peers: list[tuple[LandmarkPeer, Subject]] = []
    latencies: dict[str, dict[str, float]] = {}
    for peer in LANDMARKERS:
        try:
            follow = peer.open(networks)
        except ToolError as error:
            notes[peer.name] = str(error)
            continue
        peers.append((peer, Subject(peer.name, follow, peer.points)))
        latencies[peer.name] = network_latency(networks / peer.file)
    if rendered is None:
        notes["rendered faces"] = "no ICT-FaceKit geometry in the packs' render folder"
    placed = {one.name: placements(one, faces, 1.0, 2) for one in subjects}
    placed[STILLS] = placements(stills, faces, 1.0, 2)
    found = {name: errors(points, faces.points, faces.seen) for name, points in placed.items()}
    first = errors(placed[OURS], faces.first, faces.seen)
    report: dict[str, Any] = {
        "set": ours.which,
        "faces": len(faces.pictures),
        "missing": notes,
        "teacher": {name: against_teacher(table, faces, people) for name, table in found.items()},
        "first_teachers": by_part(first, people),
        "jitter": against_jitter(own, faces, people, limit),
        "still": still(subjects, peers, faces, networks),
        "expected_error": expected_errors(ours, faces, people),
        "youtube": against_youtube([*subjects, stills], peers, faces, networks),
        "labels": teachers_against_youtube() if refined else {},
        "presence": presence_figures(ours.placer(), candidates.offered(1)),
        "file": ours.file_figures("landmarks"),
        "peer_latency": latencies,
    }
    if exact is not None:
        int8, full = (people.mean(each_face(found[name], INNER)) for name in (OURS, FLOAT))
        report["int8_minus_float"] = (int8 - full).figure(3)
    if rendered is not None:
        report["rendered"] = against_rendered(subjects, peers, rendered, networks)
    return report


def subject(name: str, ours: Ours, infer: Any = None) -> Subject:
    """Our network as the agent follows a face with it."""
    place = ours.placer(infer)
    return Subject(name, lambda luma, start: place(luma, start).points, lambda own: own)


def still_subject(ours: Ours) -> Subject:
    """The network as `LandmarkEstimator.refine_still` asks it."""
    place = ours.placer()

    def follow(luma: Grey, start: Float) -> Float:
        return (place if len(start) == 5 else place.both_ways)(luma, start).points

    return Subject(STILLS, follow, lambda own: own)


def placements(one: Subject, faces: Faces, amount: float, passes: int) -> Float:
    """Points float32[N, 68, 2] after `passes`, the first from keypoints `amount` times as rough as
    a detector's."""
    rng = np.random.default_rng(1)
    roughs = [rough(label, rng, amount) for label in faces.points]
    return placed_by(one, faces.pictures, roughs, f"{passes} passes, jitter {amount:g}", passes)


def against_teacher(found: Float, faces: Faces, people: Resampler) -> dict[str, Any]:
    """Distances float32[N, 68] of `errors`, by part of the face and by slice of the inner 51."""
    inner = each_face(found, INNER)
    yaw, width = np.abs(faces.yaw), np.array([iod(p) for p in faces.points])
    source = np.array(faces.source)
    slices: dict[str, dict[str, Any]] = {
        "source": {
            name: people.mean(inner, source == name).figure(3) for name in sorted(set(source))
        },
        "yaw, degrees": {
            name: people.mean(inner, (yaw >= low) & (yaw < high)).figure(3)
            for name, (low, high) in YAWS.items()
        },
        "IOD, pixels": {
            _span(low, high): people.mean(inner, (width >= low) & (width < high)).figure(3)
            for low, high in WIDTHS
        },
    }
    for kind, name, chosen in data.groups(faces):
        slices.setdefault(kind, {})[name] = people.mean(inner, chosen).figure(3)
    return {**by_part(found, people), "slices": slices}


def by_part(found: Float, people: Resampler) -> dict[str, Any]:
    """Means of float32[N, 68] by part of the face, the median face, and the share of failures."""
    inner = each_face(found, INNER)
    parts = {"all 68": slice(0, 68), "inner 51": INNER, **PARTS}
    return {
        **{part: people.mean(each_face(found, where)).figure(3) for part, where in parts.items()},
        "inner 51, median face": people.median(inner).figure(3),
        "inner over 10 %": people.share(inner > 10, np.isfinite(inner)).figure(4),
    }


def _span(low: float, high: float) -> str:
    return f"{low:g}+" if high >= 200 else f"{low:g}-{high:g}"


def expected_errors(ours: Ours, faces: Faces, people: Resampler) -> dict[str, Any] | None:
    """How well the error that the model expects of each point fits the one it makes.

    On labels by the teachers, inner points, two passes. `ratio`: mean error over mean expectation,
    1 where it is right on average. `correlation`: of both, over points. `fifths`: expectation and
    error, % of the IOD, in five equal shares of the points by expectation. None where the model
    expects nothing.
    """
    place, rng = ours.placer(), np.random.default_rng(1)
    said, made, unit = [], [], []
    pairs = list(zip(faces.pictures, faces.points, faces.seen, faces.person, strict=True))
    for picture, points, seen, person in along(pairs, "expected errors"):
        placed = place.refine(picture, rough(points, rng, 1.0))
        if placed.spread is None:
            return None
        inner = np.flatnonzero(seen[INNER]) + INNER.start
        said.append(100 * placed.spread[inner] / iod(placed.points))
        made.append(distances.distances(placed.points, points)[inner])
        unit.append(np.full(len(inner), person))
    expected, found = np.concatenate(said), np.concatenate(made)
    drawn = Resampler(np.concatenate(unit))
    edges = np.quantile(expected, [0.2, 0.4, 0.6, 0.8])
    fifth = np.searchsorted(edges, expected)
    return {
        "ratio": drawn.ratio(found, expected).figure(3),
        "correlation": drawn.statistic(moments(expected, found), correlation).figure(3),
        "fifths": [
            {
                "expected": round(float(expected[fifth == k].mean()), 3),
                "error": drawn.mean(found, fifth == k).figure(3),
            }
            for k in range(5)
            if (fifth == k).any()
        ],
    }


def against_jitter(
    one: Subject, faces: Faces, people: Resampler, limit: int | None
) -> list[dict[str, Any]]:
    """Inner error against how rough the first crop is, after one and after two passes."""
    chosen = data.thin(len(faces.pictures), min(limit or 500, 500))
    part = take(faces, chosen)
    drawn = Resampler(part.person)
    rows = []
    for amount in JITTER:
        row: dict[str, Any] = {"amount": amount}
        for passes in (1, 2):
            placed = placements(one, part, amount, passes)
            inner = each_face(errors(placed, part.points, part.seen), INNER)
            row[f"passes_{passes}"] = drawn.mean(inner).figure(3)
        rows.append(row)
    return rows


def take(faces: Faces, rows: NDArray[np.int64]) -> Faces:
    """Some of the faces."""
    columns: list[Any] = [getattr(faces, column.name) for column in fields(faces)]
    kept: list[Any] = [[c[i] for i in rows] if isinstance(c, list) else c[rows] for c in columns]
    return Faces(*kept)
