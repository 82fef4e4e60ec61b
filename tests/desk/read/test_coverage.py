"""Intervals hold the truth as often as they say: visitors through the device's own release.

`python -m tools.bench intervals` asks the same a thousand times.
"""

from __future__ import annotations

import math

import numpy as np
import pytest

from agent.desk import read
from tools.bench.intervals import SITES, Site, held, least, simulated


@pytest.mark.slow
@pytest.mark.parametrize("site", [each for each in SITES if each.windows < 40], ids=str)
def test_intervals_hold_the_truth(site: Site) -> None:
    found = held(site, 25, 5)
    for kind, count in found["asked"].items():
        assert found["held"][kind] / count >= least(count), (kind, found)


def test_what_is_expected_is_never_narrower_than_what_was() -> None:
    for seed in range(4):
        share = read.measure(simulated(SITES[0], seed)[1], "attention")
        assert share.population.low <= share.visitors.low
        assert share.visitors.high <= share.population.high


@pytest.mark.slow
def test_quiet_slots_are_added_without_bias() -> None:
    """What is published is chosen by its noise, and still its sum is right."""
    quiet = Site("waiting", "retail-eu", 10.0, 60)
    errors, widths = [], []
    for seed in range(25):
        told, windows = simulated(quiet, 1000 + seed)
        found = read.total(windows, "visits").interval
        visits = sum(
            each.exact.cells["visits"][0] for each in told if each.summary.visits is not None
        )
        errors.append(found.value - visits)
        widths.append(found.width)
    deviation = np.mean(widths) / 2 / 1.96
    assert abs(np.mean(errors)) < 4 * deviation / math.sqrt(len(errors))


@pytest.mark.slow
def test_an_interval_is_not_much_wider_than_it_has_to_be() -> None:
    """Its level lowered to 60 %, it misses a good part."""
    missed = 0
    for seed in range(30):
        told, windows = simulated(SITES[0], 2000 + seed)
        published = [each.exact.cells for each in told if each.summary.visits is not None]
        visits = sum(cells["visits"][0] for cells in published)
        looked = sum(sum(cells["attention"][1:]) for cells in published)
        missed += looked / visits not in read.measure(windows, "attention", level=0.6).visitors
    assert 4 <= missed <= 21
