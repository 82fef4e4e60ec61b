"""Fewer visits than usual, and windows withheld too often: from a device's own summaries."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest

from tests.tools.fleet import filled
from tests.tools.fleet.alerts.conftest import DAY, HOUR, NOW, World
from tools.fleet.alerts import false_alarms, hours, visits, waiting, withheld
from tools.fleet.alerts.false_alarms import Place, simulate
from tools.fleet.alerts.find import numbers
from tools.fleet.alerts.hours import Day, Hour
from tools.fleet.collector.columns import SLOT_COLUMNS, insert

RULES = false_alarms.rules_of(Place(400, 0.15))


@dataclass(frozen=True)
class Verdict:
    """Of one span."""

    days: int
    visits: int
    usual: float
    low: float
    high: float
    verdict: str


def judged(per_day: list[int], waits: int = 0, end: int | None = None) -> Verdict | None:
    """Whole days of ten hours, up to the newest; at the end so many windows wait."""
    hour = np.arange(24 * len(per_day))
    is_open = (hour % 24 >= 9) & (hour % 24 < 19)
    came = np.where(is_open, np.repeat(per_day, 24) // 10, 0)[None]
    windows, held = np.full_like(came, 4), np.zeros_like(came)
    held[0, len(hour) - waits // 4 :] = 4
    series = visits.Series(windows, held, came, np.full(came.shape, 200.0), np.ones(1, np.int64))
    ends = np.array([24 * len(per_day) if end is None else end])
    found = visits.judge(
        series, np.zeros(1, np.int64), ends, lambda _, number: waiting.most(RULES, number)
    )
    days, seen, usual, low, high, verdict = (getattr(found, name)[0] for name in
                                             visits.Judged.__slots__)  # fmt: skip
    word = {visits.USUAL: "usual", visits.BETWEEN: "between", visits.IS_FEWER: "fewer"}[verdict]
    return Verdict(days, seen, usual, low, high, word) if days else None


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
    assert judged([1000] * 60, end=24 * 61) is None, "nothing came of that day"
    assert judged([]) is None


def test_what_waits_is_not_missing() -> None:
    """A day of which nothing was published yet says nothing in a small shop."""
    usual = [600] * 60
    for days in ([0], [0] * 7):
        found = judged([*usual, *days])
        assert found is not None
        assert found.verdict == "fewer", "published, and nobody came"
    found = judged([*usual, 0], waits=96)
    assert found is not None
    assert found.verdict != "fewer", "as many may wait"
    found = judged([*[2000] * 60, 0], waits=96)
    assert found is not None
    assert found.verdict == "fewer", "so many would have been published"


def test_windows_wait_until_one_is_published() -> None:
    """Ascending thresholds, as a device has them; several slots wait each by itself."""
    windows = np.array([[4, 4, 0, 4, 4, 4]])
    held = np.array([[4, 4, 0, 3, 4, 4]])
    one = waiting.windows(windows, held, np.array([1]))
    assert one.tolist() == [[0, 4, 8, 8, 3, 7, 11]]
    assert waiting.windows(windows, held, np.array([2])).tolist() == [[0, 4, 8, 8, 11, 15, 19]]
    held_most, noise = waiting.most(RULES, np.array([0, 1, 50, 128, 512]))
    assert held_most[0] == noise[0] == 0
    assert (np.diff(held_most) > 0).all()
    assert held_most[4] == 2 * held_most[3]
    two, _ = waiting.most(replace(RULES, slots=2), np.array([100]))
    assert two[0] > held_most[2] * 2, "each has less of the budget"


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
    today = NOW // DAY
    (batch,) = hours.batches(world.store, today - 3, today)
    assert batch.devices == ["box-7"]
    whole = batch.hours[0, 2]
    assert np.flatnonzero(whole["windows"]).tolist() == [12, 13]
    assert whole["windows"][12:14].tolist() == [2, 1]
    assert batch.rules.tolist() == [[-1, -1, 0, -1]]
    (rules,) = batch.known
    total = int(whole["visits"].sum())
    stored = world.store.tuples("SELECT SUM(visits), COUNT(*) FROM slots")[0]
    assert (total, 3) == (int(stored[0]), int(stored[1]))
    assert rules.k == filled.RETAIL.k
    assert hours.scale(rules) == 5.5
    assert abs(whole["variance"][13] - 60.3) < 0.5, "2 b^2, and a little less"


def test_windows_without_a_time_and_of_impossible_days_are_left_out(lite: World) -> None:
    lite.come("box-7")
    filled.say(lite.store, "box-7", filled.busy(filled.RETAIL, 0, visits=500), NOW)
    far = filled.busy(filled.RETAIL, 1, visits=500, start=4_000_000_000)
    filled.say(lite.store, "box-7", far, NOW)
    assert hours.update(lite.store, NOW + 1) == 0


def withholding(share: float, mean: float, windows: int = 280) -> withheld.Judged:
    """Of each hour so many windows with so many visits, of which a share is withheld."""
    whole = np.full((1, 24), windows)
    return withheld.judge(whole, np.round(whole * share), np.round(whole * mean), RULES)


def test_withheld_as_often_as_the_policy_says_is_usual() -> None:
    rate, _ = withheld.renewals(RULES, 20.0)
    found = withholding(1 - rate, 20.0)
    assert found.verdict[0] == withheld.USUAL
    assert abs(found.share[0] - found.expected[0]) < 0.06
    found = withholding(min(1.0, 1 - rate + 0.3), 20.0)
    assert found.verdict[0] == withheld.MORE_THAN_USUAL
    assert withholding(0.5, 20.0, windows=0).verdict[0] == -1
    assert withholding(1.0, 0.0).verdict[0] == withheld.USUAL, "of no visits everything is withheld"


def test_a_fleet_is_judged_as_its_devices_are(lite: World) -> None:
    """Two policies, one device without days, one of which the rules changed, one revoked."""
    lite.come("bursts", "calm", "changed", "gone", "new", "other")
    lite.store.execute("UPDATE devices SET revoked_at = 1 WHERE device = 'gone'")
    today = lite.now // DAY
    other = replace(RULES, k=RULES.k + 5)
    hour = {"bursts": Hour(4, 4, 60, 200.0), "calm": Hour(4, 0, 60, 200.0)}
    for name, rules in (("bursts", RULES), ("calm", RULES), ("changed", RULES), ("gone", RULES),
                        ("other", other)):  # fmt: skip
        each = Day(dict.fromkeys(range(24), hour.get(name, hour["bursts"])), rules)
        rows = [(name, today - back, hours.to_text(each)) for back in range(1, 60)]
        lite.store.executemany("INSERT INTO alert_days VALUES (?, ?, ?)", rows)
    mixed = Day(dict.fromkeys(range(24), hour["bursts"]), other)
    lite.store.execute("UPDATE alert_days SET hours = ? WHERE device = 'changed' AND day = ?",
                       (hours.to_text(mixed), today - 2))  # fmt: skip
    found = numbers.look(lite.store, lite.now, lambda: None)
    assert found["withheld"].keys() == {"bursts", "other"}
    assert found["withheld"]["bursts"].detail["windows"] == 7 * 24 * 4
    assert found["visits"] == {}


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
    assert len(found.delays) == 5
    assert found.delays[-1] <= 30


def test_made_up_hours_are_what_a_device_would_publish() -> None:
    """Nothing is lost on the way: what was not withheld adds up to those who came."""
    place = Place(2000, 0.0)
    hours_made = false_alarms.live(place, RULES, 4, np.random.default_rng(1), 1.0, 14, 0)
    assert (hours_made.windows == 4).all()
    spread = 5 * (hours_made.variance[0].sum() + 14 * 2000) ** 0.5
    assert abs(hours_made.visits[0].sum() - 14 * 2000) < spread
    assert 0 < hours_made.withheld[0].sum() < 4 * 14 * 24


@pytest.mark.slow
def test_a_small_shop_raises_nothing_because_its_windows_wait() -> None:
    found = simulate(Place(400, 0.15), years=3, seed=3, left=0.0, days=196, after=14)
    assert (found.false_visits, found.false_withheld) == (0, 0)
    assert len(found.delays) == 3
