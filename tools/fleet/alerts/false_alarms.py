"""How often `visits` and `withheld` call out a device at which nothing has changed, and how soon
they see one at which something has: made-up years, through the agent's noise and its rule of
publishing, judged hour by hour as the fleet's side does."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass
from fractions import Fraction

from agent.privacy.noise import discrete_laplace
from agent.privacy.policy.rules import PROFILES
from agent.privacy.publishing import PublishingRule
from agent.privacy.window import SENSITIVITY
from tools.fleet.alerts import visits, withheld
from tools.fleet.alerts.hours import Day, Hour, Rules, scale
from tools.fleet.alerts.kinds import BY_NAME

OPEN = (9, 19)
"""Hours of the day, UTC."""
WEEKDAYS = (1.0, 0.9, 0.9, 1.0, 1.2, 1.5, 0.5)
"""Of the average day, Monday first."""
YEAR = 365
_MONDAY = 4
"""Day 4 since 1970 was one."""


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


@dataclass(slots=True)
class Year:
    """What came of one device in a year, and what was said of it."""

    false_visits: int = 0
    """Alerts raised while nothing had changed."""
    false_withheld: int = 0
    seen: bool = False
    """Whether the change at the end was told within its time."""
    delay: int = 0
    """Hours until it was."""


def rules_of(place: Place) -> Rules:
    """A policy's defaults."""
    profile = PROFILES[place.policy]  # type: ignore[index]
    milli = 0 if profile.max_epsilon is None else int(1000 * profile.epsilon)
    return Rules(place.policy, profile.cells, milli, profile.k, profile.window, 1)  # type: ignore[arg-type]


def simulate(place: Place, rng: random.Random, left: float, days: int, after: int) -> Year:
    """`days` without a change, then `after` days with the share `left` of the visits."""
    rules = rules_of(place)
    made = _hours(place, rules, rng, left, days, after)
    series = visits.Series(made)
    year = Year()
    end_after = BY_NAME["visits"].end_after // 3600
    first, change = 4 * _MONDAY, 24 * (_MONDAY + days)
    is_open, gone = False, 0
    for end in range(first + 24 * 7 * (visits.LEAST_WEEKS + 1), change + 24 * after):
        judged = visits.judge(series, end)
        verdict = "usual" if judged is None else judged.verdict
        if end == change:
            is_open, gone = False, 0
        if verdict == "fewer" and not is_open:
            is_open = True
            if end <= change:
                year.false_visits += 1
            elif not year.seen:
                year.seen, year.delay = True, end - change
        gone = gone + 1 if is_open and verdict == "usual" else 0
        if gone > end_after:
            is_open = False
    year.false_withheld = _withheld(made, rules, days)
    return year


def _withheld(made: dict[int, Hour], rules: Rules, days: int) -> int:
    """Alerts of kind `withheld`, looked at once a day: its 7 days change once a day."""
    whole = [
        Day({hour: made[24 * day + hour] for hour in range(24) if 24 * day + hour in made}, rules)
        for day in range(_MONDAY, _MONDAY + days)
    ]
    raised, is_open = 0, False
    for end in range(7, days + 1):
        judged = withheld.judge(whole[end - 7 : end])
        if judged is not None and judged.verdict == "more" and not is_open:
            raised, is_open = raised + 1, True
        elif judged is None or judged.verdict == "usual":
            is_open = False
    return raised


def _hours(
    place: Place, rules: Rules, rng: random.Random, left: float, days: int, after: int
) -> dict[int, Hour]:
    """By number since 1970."""
    policy, rule = rules.as_policy(), PublishingRule(rules.as_policy())
    noise = SENSITIVITY["visits"] / policy.epsilon("visits") if policy.noised else Fraction(0)
    variance = _variance(rules)
    per_hour = 3600 // rules.window
    windows_open = per_hour * (OPEN[1] - OPEN[0])
    made: dict[int, Hour] = {}
    thresholds: dict[tuple[bool, int, int], int] = {}
    pending = waiting = first = 0
    begun = False
    for day in range(_MONDAY, _MONDAY + days + after):
        mean = place.visits * 7 * WEEKDAYS[(day - _MONDAY) % 7] / sum(WEEKDAYS) / windows_open
        mean *= left if day >= _MONDAY + days else 1.0
        if place.differ:
            shape = 1 / place.differ**2
            mean *= rng.gammavariate(shape, 1 / shape)
        for hour in range(24):
            withheld_here = told = noises = 0
            for part in range(per_hour):
                if OPEN[0] <= hour < OPEN[1]:
                    pending += place.crowd * _poisson(rng, mean / place.crowd)
                if noise:
                    pending += discrete_laplace(noise, rng)
                waiting += 1
                number = ((day - _MONDAY) * 24 + hour) * per_hour + part
                first = number if waiting == 1 else first
                place_in = begun, min(first, 2), waiting
                if place_in not in thresholds:
                    thresholds[place_in] = rule.threshold(0, waiting, first)
                if pending >= max(rules.k, thresholds[place_in]):
                    told, noises = told + pending, noises + waiting
                    pending = waiting = 0
                    rule.published(0)
                    begun = True
                else:
                    withheld_here += 1
            made[24 * day + hour] = Hour(per_hour, withheld_here, told, noises * variance)
    return made


def _variance(rules: Rules) -> float:
    from agent.desk.read.noise import deviation

    return deviation(scale(rules)) ** 2


def _poisson(rng: random.Random, mean: float) -> int:
    at, count = rng.expovariate(1.0), 0
    while at < mean:
        at += rng.expovariate(1.0)
        count += 1
    return count


PLACES = (
    Place(2000, 0.0), Place(2000, 0.15), Place(2000, 0.3), Place(400, 0.15), Place(400, 0.3),
    Place(100, 0.15), Place(400, 0.15, "research-consented"), Place(400, 0.15, crowd=4),
)  # fmt: skip
"""What is tried."""


def measure(years: int, seed: int, left: float, after: int = 14) -> list[dict[str, object]]:
    """One row a place: `years` device-years without a change, then what is left after one."""
    rows: list[dict[str, object]] = []
    for place in PLACES:
        rng = random.Random(f"{seed} {place}")
        found = [simulate(place, rng, left, YEAR, after) for _ in range(years)]
        delays = sorted(each.delay for each in found if each.seen)
        told: Counter[str] = Counter()
        for each in found:
            told["visits"] += each.false_visits
            told["withheld"] += each.false_withheld
        rows.append({
            "visits_a_day": place.visits, "differ": place.differ, "policy": place.policy,
            "crowd": place.crowd, "years": years, "false_visits": told["visits"],
            "false_withheld": told["withheld"], "left": left, "seen": len(delays),
            "hours": delays[len(delays) // 2] if delays else None,
        })  # fmt: skip
    return rows
