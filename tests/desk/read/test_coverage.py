"""Intervals hold the truth as often as they say: visitors through the device's own release."""

from __future__ import annotations

import math
import random
from collections import Counter
from typing import Any

import numpy as np
import pytest

from agent.desk import read
from agent.desk.plan.trial import MIDNIGHT, Device, Told, counted
from agent.desk.read.rates import RATES
from agent.privacy.policy.rules import Policy
from tests.desk.read.site import frame, truth
from tests.desk.read.test_noise import policy

ATTENTION = RATES["attention"]
LOOKED = ("attention_from_1_to_5", "attention_from_5_to_15", "attention_over_15")
SITES: dict[str, tuple[Policy, float, int]] = {
    "many": (policy("retail-eu"), 150.0, 4),
    "few": (policy("retail-eu"), 14.0, 30),
    "crowds": (policy("research-consented"), 420.0, 3),
    "laboratory": (policy("research-consented"), 12.0, 10),
}
"""Policy, visits of a window, windows."""
TIMES = 40


def run(rules: Policy, visits: float, windows: int, seed: int) -> tuple[list[Told], Any]:
    rng = random.Random(seed)
    device = Device(rules, rng)
    told = [
        device.say(counted(rng, visits, ATTENTION, 0.3), 0, MIDNIGHT + rules.window * n)
        for n in range(windows)
    ]
    return told, frame(told, bounds=True)


def least(times: int, level: float = 0.95) -> float:
    """A share below which an honest level lies once in a thousand tests."""
    return level - 3.1 * math.sqrt(level * (1 - level) / times)


@pytest.mark.slow
@pytest.mark.parametrize("site", SITES)
def test_intervals_hold_the_truth(site: str) -> None:
    held: Counter[str] = Counter()
    count = rows = 0
    for seed in range(TIMES):
        told, windows = run(*SITES[site], seed)
        visits = truth(told, "visits", 0)
        rows += len(told)
        each = np.array([one.exact.cells["visits"][0] for one in told])
        inside = (windows["visits_low"] <= each) & (each <= windows["visits_high"])
        held["row"] += int((inside | ~windows["published"]).sum())
        if not visits:
            continue
        count += 1
        looked = truth(told, "attention", 1, 2, 3)
        held["visits"] += visits in read.total(windows, "visits").interval
        held["looked"] += looked in read.total(windows, LOOKED).interval
        share = read.measure(windows, ATTENTION)
        held["share"] += looked / visits in share.visitors
        held["expected"] += 0.3 in share.population
        mean = truth(told, "valence", 0) / visits / 100
        held["mean"] += mean in read.measure(windows, "valence").visitors
        assert share.population.low <= share.visitors.low
        assert share.visitors.high <= share.population.high
    assert count > TIMES / 2
    assert held.pop("row") / rows >= least(rows)
    assert min(held.values()) / count >= least(count), (held, count)


def test_quiet_slots_are_added_without_bias() -> None:
    """What is published is chosen by its noise, and still its sum is right."""
    rules = policy("retail-eu")
    errors, widths, inside = [], [], 0
    for seed in range(25):
        told, windows = run(rules, 10.0, 60, 1000 + seed)
        found = read.total(windows, "visits").interval
        visits = truth(told, "visits", 0)
        errors.append(found.value - visits)
        widths.append(found.width)
        inside += visits in found
    deviation = np.mean(widths) / 2 / 1.96
    assert abs(np.mean(errors)) < 4 * deviation / math.sqrt(len(errors))
    assert inside / 25 >= least(25)


def test_an_interval_is_not_much_wider_than_it_has_to_be() -> None:
    """Its level lowered to 60 %, it misses a good part."""
    missed = 0
    for seed in range(30):
        told, windows = run(policy("retail-eu"), 150.0, 4, 2000 + seed)
        looked, visits = truth(told, "attention", 1, 2, 3), truth(told, "visits", 0)
        missed += looked / visits not in read.measure(windows, ATTENTION, level=0.6).visitors
    assert 4 <= missed <= 21
