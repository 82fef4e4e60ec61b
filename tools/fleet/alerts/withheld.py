"""Windows withheld more often than a policy withholds them of so many visits. Pure.

A window waits until the noised visits of all that wait reach k and a threshold that grows with
their noise (`agent.privacy.publishing`). How long that takes with visits that come by chance is
found by trying it; real ones that come in crowds take longer.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from agent.privacy.policy.rules import Policy
from agent.privacy.publishing import PublishingRule
from tools.fleet.alerts.hours import Day, Rules, scale

LEAST_WINDOWS = 200
MORE = 0.15
"""The share withheld above the expected one that raises an alert."""
_ENOUGH = 0.10
"""... and ends it."""
_Z = 4.75
"""Of the normal distribution: once in a million."""
_TRIES = 400
_MOST_WAITING = 128
_STEP = 2**0.125
"""Means of visits are looked up to so fine a grid."""


@dataclass(frozen=True, slots=True)
class Judged:
    """Of some days."""

    windows: int
    share: float
    """Withheld."""
    expected: float
    verdict: str
    """more, between, usual"""


def judge(days: Iterable[Day]) -> Judged | None:
    """None: too few windows, or rules that changed within these days."""
    whole = list(days)
    rules = {each.rules for each in whole}
    if len(rules) != 1:
        return None
    (given,) = rules
    windows, withheld, visits = [0] * 24, [0] * 24, [0] * 24
    for day in whole:
        for hour, each in day.hours.items():
            windows[hour] += each.windows
            withheld[hour] += each.withheld
            visits[hour] += each.visits
    number = sum(windows)
    if number < LEAST_WINDOWS:
        return None
    published = variance = 0.0
    for hour in range(24):
        if windows[hour]:
            rate, spread = renewals(given, _grid(visits[hour] / windows[hour]))
            published += windows[hour] * rate
            variance += windows[hour] * spread
    share, expected = sum(withheld) / number, 1 - published / number
    beyond = (share - expected) * number > _Z * math.sqrt(variance)
    verdict = "usual"
    if beyond and share - expected > MORE:
        verdict = "more"
    elif share - expected > _ENOUGH:
        verdict = "between"
    return Judged(number, share, expected, verdict)


def _grid(mean: float) -> float:
    """The next lower point: with fewer visits more is withheld."""
    if mean < 0.01:
        return 0.0
    return float(round(_STEP ** math.floor(math.log(mean, _STEP)), 6))


@lru_cache(maxsize=4096)
def renewals(rules: Rules, mean: float) -> tuple[float, float]:
    """Windows published of each that ends, with `mean` visits a window, and the variance of their
    number per window (a renewal process: sigma^2 / mu^3)."""
    ended = _cycles(rules.as_policy(), scale(rules), mean, max(1, rules.slots))
    average = float(np.mean(ended))
    return 1 / average, float(np.var(ended)) / average**3 + 1e-9


def _cycles(policy: Policy, scale: float, mean: float, slots: int) -> np.ndarray:
    """How many windows are published together, int64[`_TRIES`]; those that never end count as
    `_MOST_WAITING`."""
    rule = PublishingRule(policy)
    for slot in range(min(slots, 16)):
        rule.threshold(slot, 1, 2)
        rule.published(slot)
    rng = np.random.default_rng(11)
    total = np.zeros(_TRIES)
    ended = np.full(_TRIES, _MOST_WAITING, np.int64)
    open_ = np.ones(_TRIES, bool)
    for count in range(1, _MOST_WAITING):
        total += rng.poisson(mean, _TRIES)
        if scale:
            p = 1 - math.exp(-1 / scale)
            total += rng.geometric(p, _TRIES) - rng.geometric(p, _TRIES)
        ready = open_ & (total >= max(policy.k, rule.threshold(slots - 1, count, 2)))
        ended[ready] = count
        open_ &= ~ready
        if not open_.any():
            break
    return ended
