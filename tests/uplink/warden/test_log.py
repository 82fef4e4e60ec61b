"""Sliding counters: in any day at most the quota, and nothing less than the quota."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agent.base.quotas import BUCKET, DAY, SPAN
from agent.uplink.warden.log import SlidingCount, SlidingSet, bucket

OFFERS = st.lists(st.tuples(st.floats(0, 2 * DAY), st.integers(1, 12), st.booleans()), max_size=25)
"""Seconds that pass, how many are offered then, and whether somebody watched meanwhile."""


@given(st.integers(1, 6), OFFERS)
def test_no_day_has_more_than_the_quota(quota: int, offers: list[tuple[float, int, bool]]) -> None:
    count, now = SlidingCount(), 0.0
    watched: list[float] = []
    everything = 0
    for seconds, number, was_watched in offers:
        since, now = now, now + seconds
        for _ in range(number):
            if count.take(quota, now if was_watched else since, now):
                everything += 1
                if was_watched:
                    watched.append(now)
        newest = max(count.counts, default=0)
        for end in range(newest - SPAN, newest + 1):
            live = [n for at, n in count.counts.items() if end - SPAN < at <= end]
            assert sum(live) <= quota
        assert everything <= quota * (now // DAY + 1), "a day's worth for each day that passed"
    for time in watched:
        assert sum(time - DAY < other <= time for other in watched) <= quota


@given(st.integers(1, 40), st.integers(1, 5), st.integers(0, 10))
def test_what_is_on_time_is_never_refused(rate: int, days: int, absent: int) -> None:
    """A steady stream, also when nobody looked for days."""
    count = SlidingCount()
    step = DAY / rate
    quota = int((DAY + BUCKET) / step) + 1
    for number in range(days * rate):
        assert count.take(quota, number * step, number * step)
    start = days * DAY
    end = start + absent * DAY
    assert all(count.take(quota, start, end) for _ in range(absent * rate))


@given(st.integers(1, 5), st.lists(st.tuples(st.integers(0, 9), st.floats(0, DAY)), max_size=60))
def test_no_day_has_more_values_than_the_quota(quota: int, uses: list[tuple[int, float]]) -> None:
    found, now = SlidingSet(), 0.0
    admitted: list[tuple[float, int]] = []
    for value, seconds in uses:
        now += seconds
        recent = {each for when, each in admitted if bucket(when) > bucket(now) - SPAN}
        taken = found.take(value, quota, now, now)
        assert taken == (value in recent or len(recent) < quota)
        if taken:
            admitted.append((now, value))


def test_three_days_away_bring_three_days_of_other_slots() -> None:
    found = SlidingSet()
    values = [day * 4 + each for day in range(3) for each in range(4) for _ in range(10)]
    assert all(found.take(value, 4, 0, 3 * DAY) for value in values)
    assert not found.take(99, 4, 0, 3 * DAY)
