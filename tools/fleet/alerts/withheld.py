"""Windows withheld more often than a policy withholds them of so many visits. Pure.

A window waits until the noised visits of all that wait reach k and a threshold that grows with
their noise (`agent.privacy.publishing`). How long that takes with visits that come by chance is
found by trying it; real ones that come in crowds take longer.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from tools.fleet.alerts.hours import Rules, scale
from tools.fleet.alerts.waiting import KNOWN, thresholds

LEAST_WINDOWS = 200
MORE = 0.15
"""The share withheld above the expected one that raises an alert."""
_ENOUGH = 0.10
"""... and ends it."""
_Z = 4.75
"""Of the normal distribution: once in a million."""
_TRIES = 400
_STEP = 2**0.125
"""Means of visits are looked up to so fine a grid."""
USUAL, BETWEEN, MORE_THAN_USUAL = 0, 1, 2
"""Verdicts."""


@dataclass(frozen=True, slots=True)
class Judged:
    """Of N devices, arrays [N]."""

    windows: np.ndarray
    share: np.ndarray
    """Withheld."""
    expected: np.ndarray
    verdict: np.ndarray
    """USUAL, BETWEEN, MORE_THAN_USUAL; -1: too few windows."""


def judge(
    windows: np.ndarray, withheld: np.ndarray, visits: np.ndarray, rules: Rules
) -> Judged:  # fmt: skip
    """Devices with the same rules. Sums of some days by the hour of the day, [N, 24]."""
    number = windows.sum(axis=1)
    grid, place = np.unique(_grid(visits / np.maximum(windows, 1)), return_inverse=True)
    rates, spreads = np.array([renewals(rules, mean) for mean in grid.tolist()]).T
    place = place.reshape(windows.shape)
    some = np.maximum(number, 1)
    expected = 1 - (windows * rates[place]).sum(axis=1) / some
    share = withheld.sum(axis=1) / some
    deviation = np.sqrt((windows * spreads[place]).sum(axis=1))
    verdict = np.where(share - expected > _ENOUGH, BETWEEN, USUAL)
    beyond = (share - expected) * number > _Z * deviation
    verdict[beyond & (share - expected > MORE)] = MORE_THAN_USUAL
    verdict[number < LEAST_WINDOWS] = -1
    return Judged(number, share, expected, verdict)


def _grid(means: np.ndarray) -> np.ndarray:
    """The next lower points: with fewer visits more is withheld."""
    steps = np.floor(np.log(np.maximum(means, 0.01)) / math.log(_STEP))
    return np.where(means < 0.01, 0.0, np.round(_STEP**steps, 6))


@lru_cache(maxsize=4096)
def renewals(rules: Rules, mean: float) -> tuple[float, float]:
    """Windows published of each that ends, with `mean` visits a window, and the variance of their
    number per window (a renewal process: sigma^2 / mu^3)."""
    ended = _cycles(thresholds(rules), scale(rules), mean)
    average = float(np.mean(ended))
    return 1 / average, float(np.var(ended)) / average**3 + 1e-9


def _cycles(needed: np.ndarray, scale: float, mean: float) -> np.ndarray:
    """How many windows are published together, int64[`_TRIES`]; those that never end count as
    `KNOWN`."""
    rng = np.random.default_rng(11)
    total = np.zeros(_TRIES)
    ended = np.full(_TRIES, KNOWN, np.int64)
    open_ = np.ones(_TRIES, bool)
    for count in range(1, KNOWN):
        total += rng.poisson(mean, _TRIES)
        if scale:
            p = 1 - math.exp(-1 / scale)
            total += rng.geometric(p, _TRIES) - rng.geometric(p, _TRIES)
        ready = open_ & (total >= needed[count])
        ended[ready] = count
        open_ &= ~ready
        if not open_.any():
            break
    return ended
