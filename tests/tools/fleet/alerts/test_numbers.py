"""Fewer visits than usual, and windows withheld too often: from a device's own summaries."""

from __future__ import annotations

import numpy as np
import pytest

from tests.tools.fleet import filled
from tests.tools.fleet.alerts.conftest import DAY, HOUR, NOW, World
from tools.fleet.alerts import false_alarms, hours, visits, withheld
from tools.fleet.alerts.false_alarms import Place, simulate
from tools.fleet.alerts.find import numbers
from tools.fleet.alerts.hours import Day, Hour, Rules
from tools.fleet.collector.columns import SLOT_COLUMNS, insert

RULES = false_alarms.rules_of(Place(400, 0.15))


def made(per_day: list[int]) -> dict[int, Hour]:
    """Whole days of ten hours, the last of them the newest."""
    return {
        24 * day + hour: Hour(4, 0, number // 10 if 9 <= hour < 19 else 0, 4 * 50.0)
        for day, number in enumerate(per_day)
        for hour in range(24)
    }


def judged(per_day: list[int]) -> visits.Judged | None:
    return visits.judge(series(made(per_day)), 24 * len(per_day))


def series(flat: dict[int, Hour]) -> visits.Series:
    """As the database has them."""
    days: dict[int, hours.Raw] = {}
    for number, each in flat.items():
        values = [each.windows, each.withheld, each.visits, each.variance]
        days.setdefault(number // 24, {"hours": {}})["hours"][str(number % 24)] = values
    return visits.Series(days)


def test_an_empty_shop_is_seen_and_a_slow_day_is_not() -> None:
    usual = [1000] * 60
    found = judged([*usual, 0])
    assert found is not None
    assert (found.days, found.verdict, found.visits, round(found.usual)) == (1, "fewer", 0, 1000)
    assert found.low < 1000 < found.high
    for day in (700, 550, 1500):
        found = judged([*usual, day])
        assert found is not None
        assert found.verdict != "fewer", day


def test_where_noise_hides_a_day_more_days_are_looked_at() -> None:
    found = judged([*[250] * 60, 0])
    assert found is not None
    assert found.verdict != "fewer", "a day's noise is as large"
    found = judged([*[250] * 60, *[0] * 7])
    assert found is not None
    assert (found.verdict, found.days) == ("fewer", 7)


def test_weeks_that_differ_are_allowed_for() -> None:
    calm = [1000] * 60
    wild = [(500, 1500)[day // 7 % 2] for day in range(60)]
    assert judged([*calm, 150]).verdict == "fewer"  # type: ignore[union-attr]
    assert judged([*wild, 150]).verdict != "fewer"  # type: ignore[union-attr]


def test_of_too_little_nothing_is_said() -> None:
    assert judged([1000] * 20 + [0]) is None, "less than four weeks"
    assert judged([9] * 60 + [0]) is None, "hardly anybody comes at all"
    hours_there = made([1000] * 60)
    assert visits.judge(series(hours_there), 24 * 61) is None, "nothing came of that day"
    assert visits.judge(visits.Series({}), 24) is None


def say_days(world: World, device: str, per_day: list[int]) -> None:
    """Summaries of an hour each, through the rows that the collector writes."""
    each = filled.busy(filled.RETAIL, 0, visits=500, start=NOW)
    filled.say(world.store, device, each, NOW)
    row = dict(zip(SLOT_COLUMNS, world.store.tuples("SELECT * FROM slots LIMIT 1")[0], strict=True))
    world.store.execute("DELETE FROM slots")
    rows = []
    for day, number in enumerate(per_day):
        for hour in range(24):
            at = NOW // DAY * DAY - DAY * (len(per_day) - day) + HOUR * hour
            count = number // 10 if 9 <= hour < 19 else None
            new = {**row, "at": at, "received": at + HOUR, "seq": 24 * day + hour, "length": 3600,
                   "visits": count, "withheld": row["withheld"]}  # fmt: skip
            rows.append(tuple(new[name] for name in SLOT_COLUMNS))
    world.store.executemany(insert("slots", SLOT_COLUMNS, keyed=False), rows)


def test_raised_and_ended_by_what_the_collector_stored(world: World) -> None:
    world.come("box-7")
    say_days(world, "box-7", [1000] * 60 + [0])
    world.now = NOW // DAY * DAY + HOUR
    world.well("box-7")
    changes = [each for each in world.look() if each.kind == "visits"]
    assert [(each.event, each.device) for each in changes] == [("raised", "box-7")]
    (alert,) = world.open(kinds=["visits"])
    assert "0 visits in 24 hours; 1000 were usual" in alert.what
    found = numbers.look(world.store, world.now, lambda: None)
    assert found["visits"].keys() == {"box-7"}, "looking again changes nothing"


def test_a_day_is_computed_anew_when_something_of_it_comes_late(world: World) -> None:
    world.come("box-7")
    for seq, (start, received) in enumerate(((0, 10), (HOUR, 20), (0, 9 * HOUR))):
        each = filled.busy(filled.RETAIL, seq, visits=500, start=NOW - DAY + start)
        filled.say(world.store, "box-7", each, NOW - DAY + received)
        hours.update(world.store, NOW - DAY + received)
        hours.update(world.store, NOW - DAY + received)
    ((_, days),) = hours.days_of_all(world.store, 0)
    (day,) = map(hours.day_of, days.values())
    assert sorted(day.hours) == [12, 13]
    assert [each.windows for _, each in sorted(day.hours.items())] == [2, 1]
    total = sum(each.visits for each in day.hours.values())
    stored = world.store.tuples("SELECT SUM(visits), COUNT(*) FROM slots")[0]
    assert (total, 3) == (int(stored[0]), int(stored[1]))
    assert day.rules.k == filled.RETAIL.k
    assert hours.scale(day.rules) == 5.5
    assert abs(day.hours[13].variance - 60.3) < 0.5, "2 b^2, and a little less"


def test_windows_without_a_time_and_of_impossible_days_are_left_out(lite: World) -> None:
    lite.come("box-7")
    filled.say(lite.store, "box-7", filled.busy(filled.RETAIL, 0, visits=500), NOW)
    far = filled.busy(filled.RETAIL, 1, visits=500, start=4_000_000_000)
    filled.say(lite.store, "box-7", far, NOW)
    assert hours.update(lite.store, NOW + 1) == 0


def days_with(share: float, mean: float, number: int = 7) -> list[Day]:
    """Windows of which so many are withheld, with so many visits a window."""
    rules = Rules(RULES.policy, RULES.cells, RULES.epsilon_milli, RULES.k, RULES.window, 1)
    return [
        Day({hour: Hour(40, round(40 * share), round(40 * mean), 0.0) for hour in range(24)}, rules)
        for _ in range(number)
    ]


def test_withheld_as_often_as_the_policy_says_is_usual() -> None:
    rate, _ = withheld.renewals(RULES, 20.0)
    found = withheld.judge(days_with(1 - rate, 20.0))
    assert found is not None
    assert found.verdict == "usual"
    assert abs(found.share - found.expected) < 0.06
    found = withheld.judge(days_with(min(1.0, 1 - rate + 0.3), 20.0))
    assert found is not None
    assert found.verdict == "more"
    assert withheld.judge(days_with(0.5, 20.0, number=0)) is None
    night = withheld.judge(days_with(1.0, 0.0))
    assert night is not None
    assert night.verdict == "usual", "of no visits everything is withheld"


@pytest.mark.parametrize("mean", [0.0, 2.0, 8.0, 20.0, 60.0])
def test_more_visits_are_withheld_less(mean: float) -> None:
    rate, variance = withheld.renewals(RULES, mean)
    more, _ = withheld.renewals(RULES, 2 * mean + 1)
    assert 0 < rate <= more <= 1
    assert variance >= 0


@pytest.mark.slow
def test_made_up_shops_raise_nothing_until_nobody_comes() -> None:
    found = simulate(Place(2000, 0.15), years=5, seed=3, left=0.0, days=84, after=7)
    assert (found.false_visits, found.false_withheld) == (0, 0)
    assert found.delays is not None
    assert len(found.delays) == 5
    assert found.delays[-1] <= 30


def test_made_up_hours_are_what_a_device_would_publish() -> None:
    """Nothing is lost on the way: what was not withheld adds up to those who came."""
    place = Place(2000, 0.0)
    hours_made = false_alarms.run(place, RULES, 4, np.random.default_rng(1), 1.0, 14, 0)
    total = hours_made.add(0, 0, 14 * 24)
    assert total.windows == 4 * 14 * 24
    assert abs(total.visits - 14 * 2000) < 5 * (total.variance + 14 * 2000) ** 0.5
    assert 0 < hours_made.withheld[0, -1] < total.windows
