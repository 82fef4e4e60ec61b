"""Pairs of independent samples with equal labels: what the channels say together of them.

No corpus here has face, voice and words of the same people labelled by the same raters: what is
measured is pooling of channels that are independent given the class, as simulated pairs are.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agent.base.types import Float
from agent.fusion import PRIOR, PRIORS, RELIABILITY, adjusted, pooled
from tools.eval.fusion import channels
from tools.eval.fusion.channels import Ints, Samples
from tools.eval.ours import Ours

_PAIRS = 1000
"""Of each class."""
_ROUNDS = 200
"""Of the bootstrap."""
_WEIGHTS = (0.2, 0.3, 0.4, 0.5, 0.7, 1.0)
"""Tried for voice and words; the face has 1."""
_TOGETHER = (("face", "voice"), ("face", "words"), ("voice", "words"), ("face", "voice", "words"))
Pools = Mapping[str, Samples]


def evaluate(ours: Ours, limit: int | None, folder: Path | None = None) -> dict[str, Any]:
    """All figures: weights and priors are fitted on every other sample, and judged on the rest.
    `folder`: copies of the packages with the texts."""
    pools = {
        "face": channels.faces(ours, limit),
        "voice": channels.voices(ours, limit),
        "words": channels.words(ours, limit, folder),
    }
    fitting = {name: _rows(pool, slice(0, None, 2)) for name, pool in pools.items()}
    judging = {name: _rows(pool, slice(1, None, 2)) for name, pool in pools.items()}
    priors = {name: _prior(pool.labels) for name, pool in fitting.items()}
    return {
        "priors_fitted": {
            name: [round(float(p), 3) for p in each] for name, each in priors.items()
        },
        "weights_fitted": fitted_weights(fitting),
        "weights_in_force": RELIABILITY,
        "samples": {name: len(pool.labels) for name, pool in judging.items()},
        "undisturbed": [_row(judging, names, dict.fromkeys(names, 0)) for names in _TOGETHER],
        "disturbed": [
            _row(judging, names, {**dict.fromkeys(names, 0), one: index})
            for names in _TOGETHER
            for one in names
            for index in range(1, len(judging[one].said))
        ],
    }


def fitted_weights(pools: Pools) -> dict[str, float]:
    """Those for which together is least worse than the better alone, over all conditions."""
    best: tuple[float, dict[str, float]] = (-np.inf, {})
    for voice, words in product(_WEIGHTS, _WEIGHTS):
        weights = {"face": 1.0, "voice": voice, "words": words}
        margins = []
        for names in _TOGETHER:
            for conditions in _conditions(pools, names):
                drawn = _drawn(pools, np.random.default_rng(5), names, _PAIRS // 2)
                alone, together = _accuracies(pools, names, conditions, drawn, weights)
                margins.append(together - max(alone.values()))
        margin = float(min(margins) + 0.2 * np.mean(margins))
        if margin > best[0]:
            best = margin, weights
    return best[1]


def _conditions(pools: Pools, names: tuple[str, ...]) -> list[dict[str, int]]:
    """Undisturbed, and one channel disturbed in each of its ways."""
    plain = dict.fromkeys(names, 0)
    return [plain] + [
        {**plain, one: index} for one in names for index in range(1, len(pools[one].said))
    ]


def _row(pools: Pools, names: tuple[str, ...], conditions: dict[str, int]) -> dict[str, Any]:
    """Share of right classes with 95 % intervals: alone, together, and the difference to the
    better one, over drawings of the samples with replacement."""
    rng = np.random.default_rng(9)
    found: dict[str, list[float]] = {name: [] for name in (*names, "together", "gain")}
    for round_ in range(_ROUNDS + 1):
        drawn = _drawn(pools, rng, names, _PAIRS, resample=round_ > 0)
        alone, together = _accuracies(pools, names, conditions, drawn, RELIABILITY)
        for name, value in alone.items():
            found[name].append(value)
        found["together"].append(together)
        found["gain"].append(together - max(alone.values()))
    disturbed = {name: list(pools[name].said)[index] for name, index in conditions.items() if index}
    return {"channels": list(names), "disturbed": disturbed} | {
        name: {
            "value": round(values[0], 4),
            "low": round(float(np.percentile(values[1:], 2.5)), 4),
            "high": round(float(np.percentile(values[1:], 97.5)), 4),
        }
        for name, values in found.items()
    }


def _drawn(
    pools: Pools, rng: np.random.Generator, names: tuple[str, ...], pairs: int,
    resample: bool = False,
) -> dict[str, Ints]:  # fmt: skip
    """int64[3 * pairs] rows by channel, of the same classes in the same order. `resample`: from
    samples that are drawn with replacement first."""
    rows: dict[str, Ints] = {}
    for name in names:
        labels = pools[name].labels
        parts = []
        for polarity in range(3):
            pool = np.flatnonzero(labels == polarity)
            if resample:
                pool = rng.choice(pool, len(pool))
            parts.append(rng.choice(pool, pairs))
        rows[name] = np.concatenate(parts)
    return rows


def _accuracies(
    pools: Pools, names: tuple[str, ...], conditions: Mapping[str, int],
    drawn: Mapping[str, Ints], weights: Mapping[str, float],
) -> tuple[dict[str, float], float]:  # fmt: skip
    """Share of right classes of each channel alone, and of all together."""
    said = {
        name: adjusted(list(pools[name].said.values())[conditions[name]][drawn[name]], PRIORS[name])
        for name in names
    }
    truth = pools[names[0]].labels[drawn[names[0]]]
    alone = {name: float((each.argmax(1) == truth).mean()) for name, each in said.items()}
    largest = max(weights[name] for name in names)
    together = pooled(list(said.values()), [weights[name] / largest for name in said], PRIOR)
    return alone, float((together.argmax(1) == truth).mean())


def _prior(labels: NDArray[np.int64]) -> Float:
    counts = np.bincount(labels, minlength=3)
    return (counts / counts.sum()).astype(np.float32)


def _rows(pool: Samples, chosen: slice) -> Samples:
    return Samples(pool.labels[chosen], {name: each[chosen] for name, each in pool.said.items()})
