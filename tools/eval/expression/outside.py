"""Valence, arousal and action units held against something that the network did not say.

Valence and arousal are published coordinates averaged under the classes' probabilities, so the
classes cannot check them. Movements can: smiles and frowns for valence, wide eyes and open mouths
for arousal, as two teachers of action units see them; and what ten voters said. Neither is
anybody's feeling: the figures say whether the numbers follow what faces do.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agent.base.types import ACTION_UNITS, Float
from tools.common.bootstrap import Draws, Resampler, correlation, moments
from tools.train.expression.data import OTHER_UNITS

SHARED = tuple(unit for unit in ACTION_UNITS if unit in OTHER_UNITS)
"""Units that both teachers know."""


def affect(probabilities: Float, settings: Mapping[str, Any]) -> tuple[Float, Float]:
    """Valence and arousal float32[N] in [-1, 1], as the agent computes them."""
    return tuple(  # type: ignore[return-value]
        (probabilities @ np.array(settings[name], np.float32)).astype(np.float32)
        for name in ("valence", "arousal")
    )


Teacher = tuple[Float, tuple[str, ...]]
"""Units float32[N, U], NaN where unknown, and their names."""


def signs(units: Float, names: tuple[str, ...]) -> tuple[Float, Float]:
    """What movements float32[N, U] say of valence and arousal: AU12 - AU04, and the mean of AU05,
    AU25 and AU26; each unit in its own standard deviations, NaN where unknown."""
    spread = np.maximum(np.nanstd(units, 0), 1e-6)
    place = {name: units[:, k] / spread[k] for k, name in enumerate(names)}
    pleasant = place["AU12"] - place["AU04"]
    return pleasant, (place["AU05"] + place["AU25"] + place["AU26"]) / np.float32(3)


def against_movements(
    probabilities: Float,
    settings: Mapping[str, Any],
    teachers: Mapping[str, Teacher],
    people: NDArray[np.int64],
) -> dict[str, Any]:
    """Correlation of valence and arousal with the signs of each teacher's units, on photographs."""
    drawn = Resampler(people)
    valence, arousal = affect(probabilities, settings)
    report: dict[str, Any] = {}
    for name, (units, names) in teachers.items():
        pleasant, stirred = signs(units, names)
        report[name] = {
            "valence": _r(drawn, valence, pleasant).figure(3),
            "arousal": _r(drawn, arousal, stirred).figure(3),
        }
    return report


def against_votes(
    probabilities: Float, votes: NDArray[np.uint8], settings: Mapping[str, Any]
) -> dict[str, Any]:
    """Correlation with the same coordinates under the votes uint8[N, 10], and of the answer's
    entropy with that of the votes: whether the network doubts where people disagree."""
    drawn = Resampler(range(len(votes)))
    counts = votes[:, :8].astype(np.float32)
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    ours, theirs = affect(probabilities, settings), affect(shares, settings)
    return {
        "valence": _r(drawn, ours[0], theirs[0]).figure(3),
        "arousal": _r(drawn, ours[1], theirs[1]).figure(3),
        "entropy": _r(drawn, entropy(probabilities), entropy(shares)).figure(3),
    }


def entropy(shares: Float) -> Float:
    """Bits float32[N] of distributions float32[N, K]."""
    return np.asarray(-(shares * np.log2(np.maximum(shares, 1e-9))).sum(1), np.float32)


def second_opinion(
    units: Float, first: Float, second: Float, people: NDArray[np.int64]
) -> dict[str, Any]:
    """Per unit that both teachers know: how far ours, and the first teacher's, agree with the
    second's. `units`, `first` float32[N, 12], `second` float32[N, 16]."""
    drawn = Resampler(people)
    report: dict[str, Any] = {}
    for name in SHARED:
        k, other = ACTION_UNITS.index(name), second[:, OTHER_UNITS.index(name)]
        report[name] = {
            "ours": _r(drawn, units[:, k], other).figure(3),
            "first_teacher": _r(drawn, first[:, k], other).figure(3),
        }
    return report


def _r(drawn: Resampler, x: Float, y: Float) -> Draws:
    """Pearson's r over the rows where both are known."""
    known = np.isfinite(x) & np.isfinite(y)
    pairs = moments(np.where(known, x, 0), np.where(known, y, 0)) * known[:, None]
    return drawn.statistic(pairs, correlation, int(known.sum()))
