"""How many visits may lie in windows that were withheld and not published since. Pure.

A withheld window's visits are not gone: they wait until the noised visits of all windows that wait
reach a threshold (`agent.privacy.publishing`), and are published with those. So much less than it
had may a device have said so far.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from agent.desk.read.noise import deviation
from agent.privacy.publishing import PublishingRule
from tools.fleet.alerts.hours import Rules, scale

KNOWN = 128
"""Windows up to which thresholds are exact. Beyond, they are taken to grow as the noise does."""
_SLOTS = 16
"""Of more, thresholds are those of so many."""


@lru_cache(maxsize=64)
def thresholds(rules: Rules) -> np.ndarray:
    """Noised visits from which so many waiting windows are published, int64[KNOWN + 1], of the last
    slot of those that were on show, which has published before."""
    rule = PublishingRule(rules.as_policy())
    slots = max(1, min(rules.slots, _SLOTS))
    for slot in range(slots):
        rule.threshold(slot, 1, 2)
        rule.published(slot)
    counts = range(1, KNOWN + 1)
    return np.array([0, *(max(rules.k, rule.threshold(slots - 1, n, 2)) for n in counts)])


def windows(windows: np.ndarray, withheld: np.ndarray, slots: np.ndarray) -> np.ndarray:
    """Those that wait at the end of each hour, at most.

    Parameters
    ----------
    windows, withheld
        Numbers of each hour, int64[N, H].
    slots
        Contents of each device, int64[N]: all of them published where so many windows were.

    Returns
    -------
    int64[N, H + 1]
        The first column is the beginning.
    """
    rows, hours = windows.shape
    some = (windows - withheld >= slots[:, None]).T
    held = withheld.T
    found = np.zeros((hours + 1, rows), np.int64)
    for hour in range(hours):
        found[hour + 1] = held[hour] + np.where(some[hour], 0, found[hour])
    return found.T


def most(rules: Rules, number: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Visits that so many waiting windows hold at most, and the variance of their noise."""
    slots = max(1, rules.slots)
    each = -(-number // slots)
    table = thresholds(rules)[np.minimum(each, KNOWN)]
    grown = table * np.sqrt(np.maximum(each / KNOWN, 1.0))
    return slots * grown, number * deviation(scale(rules)) ** 2
