"""How often `visits` and `withheld` call out a device at which nothing has changed, and how soon
they see one at which something has: made-up years through the noise and the rule of publishing that
devices have, judged hour by hour as the fleet's side does. All years of a place run together."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from agent.desk.read.noise import deviation
from agent.privacy.policy.rules import PROFILES
from agent.privacy.publishing import PublishingRule
from tools.fleet.alerts import visits, withheld
from tools.fleet.alerts.hours import Day, Hour, Rules, scale
from tools.fleet.alerts.kinds import BY_NAME
from tools.fleet.alerts.visits import Judged, Sum

OPEN = (9, 19)
"""Hours of the day, UTC."""
WEEKDAYS = np.array([1.0, 0.9, 0.9, 1.0, 1.2, 1.5, 0.5])
"""Of the average day, Monday first."""
YEAR = 364
"""Days."""
_WEEK = 7 * 24
_LOOKED_UP = 128
"""Windows that wait; of more the threshold is taken for the same: only an empty shop has them."""
_WITHHELD_YEARS = 20
"""At most: those are judged once a day, each by itself."""


@dataclass(frozen=True, slots=True)
class Place:
    """One device's visitors."""

    visits: float
    """A day, on average."""
    differ: float
    """Standard deviation of a day's visits over their mean, beside chance."""
    policy: str = "retail-eu"
    crowd: int = 1
    """Visitors who come together."""


PLACES = (
    Place(2000, 0.0), Place(2000, 0.15), Place(2000, 0.3), Place(400, 0.15), Place(400, 0.3),
    Place(100, 0.15), Place(400, 0.15, "research-consented"), Place(400, 0.15, crowd=4),
)  # fmt: skip
"""What is tried."""


@dataclass(slots=True)
class Found:
    """What was said of all years of a place."""

    false_visits: int = 0
    """Alerts raised while nothing had changed."""
    false_withheld: int = 0
    withheld_years: int = 0
    delays: list[int] | None = None
    """Hours from the change to the alert, of those years that were told, ascending."""


@dataclass(frozen=True, slots=True)
class Hours:
    """Sums over hours from the beginning: int64/float64[years, hours + 1]."""

    per_hour: int
    withheld: np.ndarray
    visits: np.ndarray
    variance: np.ndarray

    def add(self, year: int, first: int, length: int) -> Sum:
        def between(sums: np.ndarray) -> float:
            return float(sums[year, first + length] - sums[year, first])

        return Sum(self.per_hour * length, int(between(self.visits)), between(self.variance))


def rules_of(place: Place) -> Rules:
    """A policy's defaults."""
    profile = PROFILES[place.policy]  # type: ignore[index]
    milli = 0 if profile.max_epsilon is None else int(1000 * profile.epsilon)
    return Rules(place.policy, profile.cells, milli, profile.k, profile.window, 1)  # type: ignore[arg-type]


def simulate(place: Place, years: int, seed: int, left: float, days: int, after: int) -> Found:
    """Whole weeks: `days` without a change, then `after` with the share `left` of the visits."""
    rules = rules_of(place)
    made = run(place, rules, years, np.random.default_rng(seed), left, days, after)
    found = Found(delays=[])
    begin, change, end = _WEEK * (visits.WEEKS + 1), 24 * days, 24 * (days + after)
    suspects = _suspects(made, end)
    for year in range(years):
        hours = np.flatnonzero(suspects[year])
        found.false_visits += len(_raised(made, year, hours, begin, change))
        told = _raised(made, year, hours, change + 1, end)
        if told:
            assert found.delays is not None
            found.delays.append(told[0] - change)
    assert found.delays is not None
    found.delays.sort()
    found.withheld_years = min(years, _WITHHELD_YEARS)
    for year in range(found.withheld_years):
        found.false_withheld += _withheld(made, year, rules, days)
    return found


def run(
    place: Place, rules: Rules, years: int, rng: np.random.Generator, left: float, days: int,
    after: int,
) -> Hours:  # fmt: skip
    """Visitors, noise, publication, window by window."""
    per_hour, b = 3600 // rules.window, scale(rules)
    hours = 24 * (days + after)
    held = np.zeros((years, hours + 1), np.int64)
    told, noises = np.zeros_like(held), np.zeros_like(held)
    pending, waiting = np.zeros(years), np.zeros(years, np.int64)
    today = np.ones(years)
    needed = thresholds(rules)
    for hour in range(hours):
        day, now = divmod(hour, 24)
        if now == 0 and place.differ:
            shape = 1 / place.differ**2
            today = rng.gamma(shape, 1 / shape, years)
        mean = place.visits * 7 * WEEKDAYS[day % 7] / WEEKDAYS.sum() / (OPEN[1] - OPEN[0])
        mean *= (left if day >= days else 1.0) / per_hour
        for _ in range(per_hour):
            if OPEN[0] <= now < OPEN[1] and mean:
                pending += place.crowd * rng.poisson(mean * today / place.crowd)
            if b:
                p = 1 - math.exp(-1 / b)
                pending += rng.geometric(p, years) - rng.geometric(p, years)
            waiting += 1
            ready = pending >= needed[np.minimum(waiting, _LOOKED_UP)]
            told[:, hour + 1] += np.where(ready, pending, 0).astype(np.int64)
            noises[:, hour + 1] += np.where(ready, waiting, 0)
            held[:, hour + 1] += ~ready
            pending[ready], waiting[ready] = 0, 0
    variance = noises.cumsum(1) * deviation(b) ** 2
    return Hours(per_hour, held.cumsum(1), told.cumsum(1), variance)


@lru_cache(maxsize=16)
def thresholds(rules: Rules) -> np.ndarray:
    """Noised visits from which so many waiting windows are published, int64[`_LOOKED_UP` + 1], of a
    slot that has published before."""
    rule = PublishingRule(rules.as_policy())
    rule.threshold(0, 1, 2)
    rule.published(0)
    numbers = range(1, _LOOKED_UP + 1)
    return np.array([0, *(max(rules.k, rule.threshold(0, n, 2)) for n in numbers)])


def _suspects(made: Hours, end: int) -> np.ndarray:
    """bool[years, hours]: hours at which some span has so few visits that it could be called out;
    the judge is asked about those only."""
    found = np.zeros((len(made.visits), end + 1), bool)
    for days in visits.SPANS:
        length = 24 * days
        spans = made.visits[:, length:] - made.visits[:, :-length]
        first = visits.WEEKS * _WEEK
        usual = sum(spans[:, first - week * _WEEK : spans.shape[1] - week * _WEEK]
                    for week in range(1, visits.WEEKS + 1)) / visits.WEEKS  # fmt: skip
        few = spans[:, first:] < visits.FEWER * usual
        found[:, first + length : first + length + few.shape[1]] |= few
    return found


def _raised(made: Hours, year: int, suspects: np.ndarray, begin: int, end: int) -> list[int]:
    """Hours at which an alert was raised that none was open at."""
    raised: list[int] = []
    patience = BY_NAME["visits"].end_after // 3600
    free = begin
    for hour in suspects:
        if not free <= hour < end or _judge(made, year, int(hour)).verdict != "fewer":
            continue
        raised.append(int(hour))
        free, good = int(hour), 0
        while good <= patience and free < end:
            free += 1
            good = good + 1 if _judge(made, year, free).verdict == "usual" else 0
    return raised


def _judge(made: Hours, year: int, end: int) -> Judged:
    def add(first: int, length: int) -> Sum:
        return made.add(year, first, length)

    judged = visits.judge_by(add, end)
    return judged or Judged(0, 0, 0.0, 0.0, 0.0, "usual")


def _withheld(made: Hours, year: int, rules: Rules, days: int) -> int:
    """Alerts of kind `withheld`, looked at once a day."""
    parts = [np.diff(each[year]) for each in (made.withheld, made.visits)]
    whole = [
        Day({hour: Hour(made.per_hour, int(parts[0][24 * day + hour]),
                        int(parts[1][24 * day + hour]), 0.0) for hour in range(24)}, rules)
        for day in range(days)
    ]  # fmt: skip
    raised, is_open = 0, False
    for end in range(7, days + 1):
        judged = withheld.judge(whole[end - 7 : end])
        if judged is not None and judged.verdict == "more" and not is_open:
            raised, is_open = raised + 1, True
        elif judged is None or judged.verdict == "usual":
            is_open = False
    return raised


def measure(years: int, seed: int, left: float, after: int = 7) -> Iterator[dict[str, object]]:
    """One row a place: a year of each device without a change, then what is left after one."""
    for place in PLACES:
        found = simulate(place, years, seed, left, YEAR, after)
        delays = found.delays or []
        judged = years * (YEAR / 7 - visits.WEEKS - 1) / (YEAR / 7)
        yield {
            "visits_a_day": place.visits, "differ": place.differ, "policy": place.policy,
            "crowd": place.crowd, "years": round(judged, 1), "false_visits": found.false_visits,
            "withheld_years": found.withheld_years, "false_withheld": found.false_withheld,
            "left": left, "told": f"{len(delays)} of {years}",
            "hours": delays[len(delays) // 2] if delays else None,
        }  # fmt: skip
