"""Where landmarks count as sure: the limit, chosen on half of the people, judged on the other.

A face that stands on its head can be seen the wrong way up, brows for a mouth, with high presence.
The mean logarithm of the expected errors (`LandmarkEstimate.log_spread`) tells the two apart.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from agent.base.types import Float, Grey
from agent.vision.faces.align import MEAN_SHAPE
from agent.vision.faces.landmarks import UNSURE_ERROR, LandmarkEstimator
from tools.common.bootstrap import Draws, Resampler
from tools.common.errors import ToolError
from tools.common.progress import along
from tools.common.tables import markdown
from tools.eval import data
from tools.eval.card import join, number, prose
from tools.eval.landmarks.distances import iod
from tools.eval.landmarks.subject import rough
from tools.eval.ours import Ours

Array = NDArray[np.float64]
UPRIGHT, ON_HEAD = "upright", "on the head"
TURNS = {UPRIGHT: 0, ON_HEAD: 2, "on its side": 1}
"""Quarter turns of each picture; the network starts upright, as the detector would have it."""
EDGES = (0.005, 0.5, 0.995)
"""Quantiles that are printed."""
WORDS = """
    `python -m tools.eval sure`: landmarks count as sure where the error that the network expects of
    them, the geometric mean over all 68 points as a share of the outer eye-corner distance, is
    {shipped:g} at most. Unseen faces of the packs: upright, lying on a side, standing on the head;
    the network starts upright each time, and what it takes for a face is judged. *Chosen*: the
    limit with the least sum of upright faces lost and faces on their heads that pass, on half of
    the people (by a hash; {upright} and {wrong} pictures): {chosen:g}. The table is of the other
    half, which {chosen:g} has never seen; {shipped:g} was set on some of them, with the research
    set's network. 95 % intervals over people. Mistakes at {shipped:g} less those at {chosen:g}:
    {apart}.
"""


class Doubts(NamedTuple):
    """What the network says of each face's picture, seen one way."""

    said: Array
    """float64[N]: mean logarithm of the expected errors, IOD; NaN where it takes it for no face."""
    person: NDArray[np.int64]
    """int64[N]"""

    def of(self, chosen: NDArray[np.bool_]) -> Doubts:
        """Some of the pictures, bool[N]."""
        return Doubts(self.said[chosen], self.person[chosen])

    def faces(self) -> Doubts:
        """Those that it takes for faces."""
        return self.of(np.isfinite(self.said))


def sure_figures(ours: Ours, limit: int | None) -> dict[str, Any]:
    """The threshold as one half of the people would have it, and what it and ours do to the other.

    Raises `ToolError` where the network says nothing of its errors.
    """
    faces, place = data.faces(limit), ours.placer()
    least = float(ours.parameters("landmarks")["presence_above"])
    kinds = {name: doubts(place, faces, turns, least) for name, turns in TURNS.items()}
    first = first_half(faces.person)
    upright, wrong = (kinds[name].of(first).faces() for name in (UPRIGHT, ON_HEAD))
    if not (len(upright.said) and len(wrong.said)):
        raise ToolError("Too few faces to choose a threshold on: give a higher --limit.")
    chosen = choose(upright.said, wrong.said)
    judged = {name: kind.of(~first) for name, kind in kinds.items()}
    return {
        "set": ours.which,
        "chosen_on": {UPRIGHT: len(upright.said), ON_HEAD: len(wrong.said)},
        "chosen": round(math.exp(chosen), 4),
        "shipped": round(math.exp(UNSURE_ERROR), 4),
        "kinds": {name: _row(kind, chosen) for name, kind in judged.items()},
        "shipped_minus_chosen": mistakes_apart(
            judged[UPRIGHT].faces(), judged[ON_HEAD].faces(), chosen
        ).figure(),
        "missing": {},
    }


def doubts(place: LandmarkEstimator, faces: data.Faces, turns: int, least: float) -> Doubts:
    """What the network says of each face's picture after so many quarter turns; a picture is taken
    for a face where its presence is `least` or more. Raises `ToolError`."""
    rng = np.random.default_rng(1)
    said = np.full(len(faces.pictures), np.nan)
    pairs = list(zip(faces.pictures, faces.first, strict=True))
    for k, (picture, points) in enumerate(along(pairs, f"{turns} quarter turns")):
        shown, start = turned(picture, points, turns)
        estimate = place.refine(shown, rough(start, rng, 1.0))
        if estimate.log_spread is None:
            raise ToolError("These landmarks come without an expected error: all count as sure.")
        if estimate.presence >= least:
            said[k] = float(estimate.log_spread.mean())
    return Doubts(said, faces.person)


def turned(picture: Grey, points: Float, turns: int) -> tuple[Grey, Float]:
    """A picture after quarter turns counter-clockwise, and where an upright face in the place of
    its own would have its points, float32[68, 2]; its own for none."""
    shown = np.ascontiguousarray(np.rot90(picture, turns))
    if not turns:
        return shown, points
    height, width = picture.shape
    own = points.copy()
    for _ in range(turns):
        own = np.stack([own[:, 1], width - 1 - own[:, 0]], 1)
        height, width = width, height
    low, high = own.min(0), own.max(0)
    middle = (MEAN_SHAPE.min(0) + MEAN_SHAPE.max(0)) / 2
    return shown, ((MEAN_SHAPE - middle) * np.float32(iod(points)) + (low + high) / 2).astype(
        np.float32
    )


def first_half(people: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which rows choose, by a hash of the person: bool[N]. Nobody is in both halves."""
    return np.array([hashlib.sha256(b"sure %d" % p).digest()[0] < 128 for p in people], bool)


def choose(upright: Array, wrong: Array) -> float:
    """The limit with the least sum of two shares: of `upright` above it, of `wrong` not above it.

    The middle of all that are as good, which lie side by side or are the first such stretch.
    """
    values = np.unique(np.concatenate([upright, wrong]))
    limits = (values[1:] + values[:-1]) / 2
    lost = 1 - np.searchsorted(np.sort(upright), limits, "right") / max(len(upright), 1)
    kept = np.searchsorted(np.sort(wrong), limits, "right") / max(len(wrong), 1)
    mistakes = np.round(lost + kept, 12)
    first = int(mistakes.argmin())
    last = first
    while last + 1 < len(limits) and mistakes[last + 1] == mistakes[first]:
        last += 1
    return float((values[first] + values[last + 1]) / 2)


def mistakes_apart(upright: Doubts, wrong: Doubts, chosen: float) -> Draws:
    """Mistakes at our limit minus those at `chosen`: the share of upright faces lost plus the share
    of faces on their heads that pass."""
    lost, kept = (
        Resampler(kind.person).mean((kind.said > UNSURE_ERROR).astype(float) - (kind.said > chosen))
        for kind in (upright, wrong)
    )
    return lost - kept


def _row(kind: Doubts, chosen: float) -> dict[str, Any]:
    found = kind.faces()
    people, taken = Resampler(kind.person), np.isfinite(kind.said)
    quantiles: Any = np.quantile(found.said, EDGES) if len(found.said) else []
    return {
        "asked": len(kind.said),
        "taken_for_faces": len(found.said),
        "quantiles": [round(math.exp(value), 4) for value in quantiles],
        "sure_chosen": people.share(kind.said <= chosen, taken).figure(),
        "sure_shipped": people.share(kind.said <= UNSURE_ERROR, taken).figure(),
    }


def section(report: Mapping[str, Any]) -> str:
    """What stands between the lines of `card.SURE` in models/landmarks/CARD.md."""
    words = WORDS.format(
        shipped=report["shipped"],
        chosen=report["chosen"],
        upright=report["chosen_on"][UPRIGHT],
        wrong=report["chosen_on"][ON_HEAD],
        apart=number(report["shipped_minus_chosen"], 1, True),
    )
    rows = [
        (
            name,
            f"{row['asked']:,}",
            f"{row['taken_for_faces']:,}",
            ", ".join(f"{value:.3f}" for value in row["quantiles"]) or "-",
            number(row["sure_chosen"], 1, True),
            number(row["sure_shipped"], 1, True),
        )
        for name, row in report["kinds"].items()
    ]
    head = (
        "faces", "pictures", "taken for a face", "expected error: .5 %, half, 99.5 %",
        f"sure at {report['chosen']:g}", f"sure at {report['shipped']:g}",
    )  # fmt: skip
    return join([prose(words), markdown(head, rows)])
