"""The rule by which withheld windows are published: how often noise alone passes it."""

from __future__ import annotations

import random
from collections.abc import Iterator
from fractions import Fraction
from math import ceil, comb, exp, log, sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from agent.base.config import AgentConfig
from agent.base.settings_file import parse
from agent.base.types import Perceived
from agent.base.vocabulary import PolicyName
from agent.privacy import publishing
from agent.privacy.policy.rules import PROFILES, Policy, resolve
from agent.privacy.publishing import ALPHA, EARLY, START, STEADY, PublishingRule, Thresholds
from agent.privacy.releaser import Releaser
from tests.privacy.people import MODEL

DAY = 86_400
NOISED = [name for name, profile in PROFILES.items() if profile.max_epsilon is not None]
BUSY = 40
"""Number since boot of the first window of a process that was started again."""


def config(name: PolicyName, **privacy: object) -> AgentConfig:
    profile = PROFILES[name]
    return parse(
        {
            "device": {"place": profile.places[0], "region": "other"},
            "privacy": {"policy": name, "notice_shown": True, "consent": True, **privacy},
        },
        "test",
    )


def windows_a_day(policy: Policy) -> int:
    return ceil(DAY / policy.window)


class Walk:
    """The distribution of the sum of pending windows' noise in floating point, of those that no
    threshold has stopped: the same as `Thresholds` by another way, FFT."""

    def __init__(self, scale: float, windows: int, highest: int | None = None) -> None:
        """`highest`: threshold; None: any."""
        q = exp(-1 / scale)
        reach = ceil(scale * (40 + 14 * sqrt(windows)))
        # What reaches a threshold is counted and forgotten, so no sum is ever above the highest.
        above = reach if highest is None else min(highest, reach)
        # One window's noise beyond this has less than one case in 10^17.
        near = ceil(40 * scale)
        self._zero = reach
        self._length = reach + above + near + 1
        self._size = _fast(self._length + 2 * near)
        self._shift = near
        sums = np.abs(np.arange(-near, near + 1))
        self._noise = np.fft.rfft((1 - q) / (1 + q) * q**sums, self._size)
        self._mass = np.zeros(self._length)
        self._mass[reach] = 1.0

    def cross(self, threshold: int) -> float:
        """One more window; the probability to reach this threshold now, and no other before."""
        spread = np.fft.irfft(np.fft.rfft(self._mass, self._size) * self._noise, self._size)
        here = spread[self._shift : self._shift + self._length]
        self._mass = np.clip(here, 0, None)
        at = self._zero + threshold
        crossed = float(self._mass[at:].sum())
        self._mass[at:] = 0
        return crossed


def _fast(least: int) -> int:
    """The first size from there on that has no factor but 2, 3 and 5."""
    size = least
    while True:
        left = size
        for factor in (2, 3, 5):
            while left % factor == 0:
                left //= factor
        if left == 1:
            return size
        size += 1


def crossings(scale: float, thresholds: list[int], windows: int) -> list[float]:
    walk = Walk(scale, windows, max(thresholds))
    return [walk.cross(each) for each in thresholds]


def noise_scale(policy: Policy) -> float:
    return float(1 / policy.epsilon("visits"))


def slot_thresholds(
    policy: Policy, slots: int, published: bool, first: int = BUSY
) -> Iterator[list[int]]:
    """A day's thresholds, slot by slot."""
    rule = PublishingRule(policy)
    for slot in range(slots):
        if published:
            rule.published(slot)
        yield [rule.threshold(slot, n, first) for n in range(1, windows_a_day(policy) + 1)]


CASES = [
    *((name, {}) for name in NOISED),
    ("retail-eu", {"window": 300}),
    ("retail-eu", {"window": 3600, "k": 50}),
    ("retail-eu", {"epsilon": 0.3}),
    ("research-consented", {"k": 3, "epsilon": 4.0}),
    ("research-consented", {"window": 60, "k": 3}),
    ("medical-safety", {"k": 3, "epsilon": 2.0}),
    ("classroom", {"window": 3600}),
]


@pytest.mark.parametrize(("name", "privacy"), CASES, ids=str)
@pytest.mark.slow
def test_an_empty_day_is_published_in_one_case_of_twenty_at_most(
    name: PolicyName, privacy: dict[str, object]
) -> None:
    """The exact probability, for a device with any number of slots: of the first publication in a
    day that begins with the worst that may have been before, all slots having just published."""
    policy = resolve(config(name, **privacy))
    silent = 1.0
    slots = 24 if windows_a_day(policy) < 1000 else 8  # the time grows with the windows' square
    for number, thresholds in enumerate(slot_thresholds(policy, slots, published=True), 1):
        silent *= 1 - sum(crossings(noise_scale(policy), thresholds, len(thresholds)))
        if number in (1, 2, 4, 8, 24):
            assert 1 - silent <= ALPHA * (EARLY + STEADY), f"{number} slots"
    assert 1 - silent > ALPHA / 8 or policy.k > 20, "or the rule waits for nothing"


@pytest.mark.parametrize("name", NOISED)
@pytest.mark.slow
def test_wherever_an_empty_day_begins_its_windows_stay_within_the_budget(name: PolicyName) -> None:
    """For each window the probability to be published, given that none was before: over any day of
    a week of silence they add up to no more than alpha."""
    policy = resolve(config(name))
    day = windows_a_day(policy)
    rule = PublishingRule(policy)
    rule.published(0)
    week = [rule.threshold(0, n, BUSY) for n in range(1, 7 * day + 1)]
    left, hazards = 1.0, []
    for crossed in crossings(noise_scale(policy), week, len(week)):
        hazards.append(crossed / left)
        left -= crossed
    sums = np.cumsum([0.0, *hazards])
    assert max(sums[day:] - sums[:-day]) <= ALPHA * (EARLY + STEADY)
    assert max(sums[2 * day :] - sums[day:-day]) <= ALPHA / 4, "a second day is quieter"


@pytest.mark.parametrize("every", [1, 2, 5, 24])
@pytest.mark.slow
def test_no_number_of_restarts_publishes_an_empty_day(every: int) -> None:
    """Killed or set anew after every few windows: each time the sum begins at nothing."""
    policy = resolve(config("retail-eu"))
    (thresholds,) = slot_thresholds(policy, 1, published=False)
    once = sum(crossings(noise_scale(policy), thresholds[:every], every))
    assert once * windows_a_day(policy) / every <= ALPHA * STEADY


def test_a_boot_may_spend_its_own_part() -> None:
    policy = resolve(config("retail-eu"))
    for first in (0, 1):
        (thresholds,) = slot_thresholds(policy, 1, published=False, first=first)
        assert sum(crossings(noise_scale(policy), thresholds, 96)) <= ALPHA * (START + STEADY)
    rule = PublishingRule(policy)
    boot, later = (rule.threshold(0, 1, first) for first in (0, 2))
    assert boot < later
    rule.published(0)
    assert rule.threshold(0, 1, 2) < boot


def test_the_shares_of_all_slots_are_one_whole() -> None:
    shares = [publishing._share(rank) for rank in range(1, 257)]
    assert sum(shares) <= 1
    assert shares == sorted(shares, reverse=True)
    assert min(shares) > 0


def test_a_later_slot_leaves_the_others_thresholds_as_they_are() -> None:
    policy = resolve(config("retail-eu"))
    alone, crowded = PublishingRule(policy), PublishingRule(policy)
    for slot in (7, 3, 200):
        crowded.threshold(slot, 1, BUSY)
    wanted = [alone.threshold(7, n, BUSY) for n in range(1, 50)]
    assert [crowded.threshold(7, n, BUSY) for n in range(1, 50)] == wanted
    assert crowded.threshold(3, 9, BUSY) < crowded.threshold(200, 9, BUSY)


def test_without_noise_the_threshold_is_k() -> None:
    policy = resolve(parse({"privacy": {"policy": "demo", "k": 3}}, "test"))
    rule = PublishingRule(policy)
    assert {rule.threshold(slot, n, n) for slot in range(9) for n in (1, 500)} == {3}


def test_alpha_spending_alone_gives_the_known_boundaries() -> None:
    """alpha / (n (n + 1)) with alpha .05 and noise of scale 5."""
    thresholds = Thresholds(Fraction(5), 10, ALPHA, 0, Fraction(1, 10**9))
    found = [thresholds.at(n) for n in (1, 2, 4, 8, 16, 32)]
    assert all(abs(a - b) <= 1 for a, b in zip(found, (16, 24, 37, 57, 88, 133), strict=True))


@given(
    scale=st.fractions(Fraction(1, 4), 12, max_denominator=20),
    least=st.integers(1, 30),
    early=st.fractions(0, Fraction(1, 20)),
    skipped=st.integers(0, 3),
    steady=st.fractions(Fraction(1, 10**6), Fraction(1, 500)),
)
@settings(max_examples=40, deadline=None)
def test_each_threshold_is_the_least_that_keeps_its_budget(
    scale: Fraction, least: int, early: Fraction, skipped: int, steady: Fraction
) -> None:
    """Against the convolution in floating point: no budget is exceeded, and with a threshold of
    one less it would be."""
    thresholds = Thresholds(scale, least, early, skipped, steady)
    walk, closer = Walk(float(scale), 30), Walk(float(scale), 30)
    left = 1.0
    for n in range(1, 31):
        threshold = thresholds.at(n)
        budget = left * float(early / ((n + skipped) * (n + skipped + 1)) + steady)
        closer._mass = walk._mass.copy()
        crossed = walk.cross(threshold)
        assert threshold >= least
        assert crossed <= budget * (1 + 1e-6) + 1e-13
        if threshold > least:
            assert closer.cross(threshold - 1) > budget * 0.98
        left -= crossed


def test_the_convolution_is_bounded_from_above_and_closely() -> None:
    """After many windows the integers exceed the sum's true distribution by next to nothing, but
    for what was dropped at its low end, which is counted as if it had crossed."""
    thresholds = Thresholds(Fraction(7, 2), 5, Fraction(1, 50), 0, Fraction(1, 20_000))
    thresholds.at(200)
    walk = Walk(3.5, 200)
    for n in range(1, 201):
        walk.cross(thresholds.at(n))
    ours = np.array(thresholds._mass, float) / publishing._ONE
    start = walk._zero + thresholds._low
    true: NDArray[np.float64] = walk._mass[start : start + len(ours)]
    lost = thresholds._lost / publishing._ONE
    assert 0 < lost < thresholds._steady / 128
    assert np.all(ours > true - lost)
    assert np.all(ours < true + 1e-13)
    assert ours.sum() + lost > walk._mass.sum() - 1e-13


@pytest.mark.parametrize("x", [Fraction(1, 500), Fraction(1, 5), Fraction(1), Fraction(17, 4)])
def test_the_bounds_of_the_exponential_enclose_it(x: Fraction) -> None:
    low, high = publishing._exp_bounds(x)
    near = sum(((-x) ** n / Fraction(_factorial(n)) for n in range(80)), Fraction(0))
    assert Fraction(low, publishing._ONE) <= near <= Fraction(high, publishing._ONE)
    assert high - low < 64


def _factorial(n: int) -> int:
    return n * _factorial(n - 1) if n else 1


@pytest.mark.parametrize("scale", [Fraction(1, 2), Fraction(5), Fraction(60)])
@pytest.mark.parametrize("windows", [1, 8, 64])
def test_beyond_the_exact_thresholds_the_bound_is_still_one(scale: Fraction, windows: int) -> None:
    thresholds = Thresholds(scale, 1, Fraction(1, 50), 0, Fraction(1, 20_000))
    thresholds._is_exact = False
    at = thresholds.at(windows)
    walk = Walk(float(scale), windows)
    for _ in range(windows - 1):
        walk.cross(len(walk._mass) - walk._zero - 1)
    crossed = walk.cross(at)
    assert 0 < crossed <= thresholds._budget(windows)
    assert at < 4 * float(scale) * (sqrt(windows) + 4) * log(20)


@pytest.mark.slow
def test_thousands_of_windows_cost_little() -> None:
    """The number of sums followed is bounded; after that thresholds come from a formula."""
    thresholds = Thresholds(Fraction(20), 10, Fraction(1, 50), 0, Fraction(1, 2000))
    found = [thresholds.at(n) for n in (1, 10, 100, 1000, 10_000, 1_000_000)]
    assert found == sorted(found)
    assert len(thresholds._mass) <= publishing._MAX_POINTS
    assert len(thresholds._exact) <= publishing._MAX_WINDOWS


def waiting(releaser: Releaser, window: int, visits: int, slot: int = 0) -> int | None:
    """The number published for a window with so many visits."""
    start = 900.0 * window
    releaser.observe(Perceived(start, ()), slot=slot)
    releaser._windows._open[window].counts[slot].cells["visits"][0] += visits
    (released,) = releaser.pass_time(start + 1000)
    return released.summary.visits


def test_the_releaser_knows_boots_restarts_publications_and_slots(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without noise in the way, by the number of visits of a first window that is published."""
    settings = config("retail-eu")
    policy = resolve(settings)
    rule = PublishingRule(policy)
    after_boot, after_start = (rule.threshold(0, 1, first) for first in (0, BUSY))
    later_slot = rule.threshold(1, 1, BUSY)
    rule.published(0)
    after_publication = rule.threshold(0, 1, BUSY)
    assert after_publication < after_boot < after_start < later_slot

    def fresh() -> Releaser:
        releaser = Releaser(settings, policy, model=MODEL)
        monkeypatch.setattr(releaser, "_draw", lambda scale: 0)
        return releaser

    assert waiting(fresh(), 0, after_boot - 1) is None
    assert waiting(fresh(), 0, after_boot) == after_boot
    assert waiting(fresh(), BUSY, after_start - 1) is None
    busy = fresh()
    assert waiting(busy, BUSY, after_start) == after_start
    assert waiting(busy, BUSY + 1, after_publication) == after_publication
    assert waiting(busy, BUSY + 2, after_publication - 1) is None
    assert waiting(busy, BUSY + 3, later_slot - 1, slot=1) is None


def binomial_bound(hits: int, tries: int, p: float) -> float:
    """P(X >= hits) of X binomial."""
    return 1 - sum(comb(tries, n) * p**n * (1 - p) ** (tries - n) for n in range(hits))


@pytest.mark.parametrize(("slots", "days"), [(1, 100), (3, 60)])
@pytest.mark.slow
def test_the_releaser_keeps_silent_on_empty_days(slots: int, days: int) -> None:
    """Days after a busy quarter of an hour. More publications than a rate of alpha gives in all but
    one of a thousand tries fail the test, as three in ten would."""
    published, busy = 0, 0
    settings = config("medical-safety")
    policy = resolve(settings)
    for seed in range(days):
        releaser = Releaser(settings, policy, model=MODEL, rng=random.Random(seed))
        done = []
        for window in range(96 + 4):
            for slot in range(slots):
                time = 900.0 * window + 100 * slot
                done += releaser.observe(Perceived(time, ()), slot=slot)
                if window == 1:
                    for _ in range(200):
                        releaser._windows._open[1].counts[slot].cells["visits"][0] += 1
        done += releaser.finish()
        empty = [each.summary for each in done if (each.summary.window.offset or 0) >= 1800]
        busy += sum(each.summary.visits is not None for each in done) >= slots
        published += any(summary.visits is not None for summary in empty)
    assert busy == days
    assert binomial_bound(published, days, float(ALPHA)) > 1e-3
    assert binomial_bound(days * 3 // 10, days, float(ALPHA)) < 1e-6
