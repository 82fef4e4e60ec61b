"""Quiet hours go by the clock on the wall of the place."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.base.clock import FILE_CLOCK, ClockReading
from agent.privacy.policy.quiet_hours import QuietHours, utc_of

BERLIN = ZoneInfo("Europe/Berlin")
NEW_YORK = ZoneInfo("America/New_York")


def utc(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def state(spans: list[str], moment: float, zone: ZoneInfo = BERLIN) -> str:
    return QuietHours(spans, zone).judge(moment).state


def test_without_spans_it_is_open_whatever_the_clock() -> None:
    assert QuietHours([]).judge(None).state == "open"
    assert QuietHours([]).now(FILE_CLOCK) == "open"


def test_with_spans_and_no_trusted_clock_it_is_quiet_and_says_why() -> None:
    verdict = QuietHours(["22:00-06:30"], BERLIN).judge(None)
    assert verdict.state == "quiet"
    assert "nobody vouches for the clock" in verdict.reason
    assert QuietHours(["22:00-06:30"], BERLIN).now(ClockReading("none", None)) == "quiet"


@pytest.mark.parametrize(
    ("local", "expected"),
    [("21:59:59", "open"), ("22:00:00", "quiet"), ("23:59:59", "quiet"), ("00:00:00", "quiet"),
     ("06:29:59", "quiet"), ("06:30:00", "open"), ("12:00:00", "open")],
)  # fmt: skip
def test_a_span_over_midnight(local: str, expected: str) -> None:
    moment = datetime.fromisoformat(f"2026-11-21T{local}").replace(tzinfo=BERLIN).timestamp()
    assert state(["22:00-06:30"], moment) == expected


def test_equal_ends_are_the_whole_day() -> None:
    start = utc("2026-05-05T00:00:00")
    hours = QuietHours(["07:00-07:00"], BERLIN)
    assert all(hours.judge(start + 600 * i).state == "quiet" for i in range(144))


def test_any_of_several_spans_counts_and_is_named() -> None:
    hours = QuietHours(["08:00-09:00", "20:00-21:00"], BERLIN)
    evening = hours.judge(utc("2026-11-21T19:30:00"))  # 20:30 in Berlin
    assert evening.state == "quiet"
    assert "20:00-21:00" in evening.reason
    assert hours.judge(utc("2026-11-21T12:00:00")).state == "open"


def minutes_quiet(span: str, day: str, zone: ZoneInfo) -> int:
    """Minutes that are quiet from this local midnight to the next."""
    first = datetime.fromisoformat(day).replace(tzinfo=zone)
    end = (datetime.fromisoformat(day) + timedelta(days=1)).replace(tzinfo=zone)
    hours = QuietHours([span], zone)
    count = 0
    moment = first.timestamp()
    while moment < end.timestamp():
        count += hours.judge(moment).state == "quiet"
        moment += 60
    return count


@pytest.mark.parametrize(
    ("zone", "forward", "back"),
    [(BERLIN, "2026-03-29", "2026-10-25"), (NEW_YORK, "2026-03-08", "2026-11-01")],
)
def test_days_on_which_clocks_change(zone: ZoneInfo, forward: str, back: str) -> None:
    ordinary = "2026-06-10"
    # In New York the hour from 02:00 is missing and the one from 01:00 comes twice.
    missing, twice = "02:15-02:45", "02:15-02:45" if zone is BERLIN else "01:15-01:45"
    assert minutes_quiet(missing, ordinary, zone) == 30
    assert minutes_quiet(missing, forward, zone) == 0
    assert minutes_quiet(twice, back, zone) == 60
    night = "00:00-06:00"
    assert [minutes_quiet(night, day, zone) for day in (ordinary, forward, back)] == [360, 300, 420]


def test_the_opening_hour_stays_where_people_expect_it() -> None:
    """The shop opens at 08:00 on the wall, before and after the change."""
    for day, offset in (("2026-03-28", 1), ("2026-03-29", 2), ("2026-10-24", 2), ("2026-10-25", 1)):
        eight = utc(f"{day}T08:00:00") - 3600 * offset
        assert state(["20:00-08:00"], eight - 1) == "quiet"
        assert state(["20:00-08:00"], eight) == "open"


def test_the_machine_s_own_zone_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    noon = utc("2026-01-15T12:00:00")
    try:
        for name, expected in (("UTC", "open"), ("Asia/Tokyo", "quiet")):
            monkeypatch.setenv("TZ", name)
            time.tzset()
            assert QuietHours(["20:00-22:00"]).judge(noon).state == expected
    finally:
        monkeypatch.undo()
        time.tzset()


@given(st.integers(0, 1439), st.integers(0, 1439), st.integers(0, 2**31))
def test_a_span_and_its_reverse_share_the_day(start: int, end: int, moment: int) -> None:
    def text(a: int, b: int) -> str:
        return f"{a // 60:02}:{a % 60:02}-{b // 60:02}:{b % 60:02}"

    one = state([text(start, end)], moment)
    other = state([text(end, start)], moment)
    assert (one == other) == (start == end)


def test_a_reading_is_taken_at_its_instant() -> None:
    reading = ClockReading("ntp", utc("2026-11-21T20:59:00"))
    hours = QuietHours(["22:00-23:00"], BERLIN)
    assert utc_of(reading, 10.0) == utc("2026-11-21T20:59:10")
    assert utc_of(FILE_CLOCK, 10.0) is None
    assert hours.now(reading, 0.0) == "open"
    assert hours.now(reading, 60.0) == "quiet"
