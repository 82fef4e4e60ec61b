"""Quiet hours follow local time."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.base.clock import FILE_CLOCK, ClockReading
from agent.privacy.policy.quiet_hours import QuietHours

BERLIN = ZoneInfo("Europe/Berlin")
NEW_YORK = ZoneInfo("America/New_York")


def utc(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def quiet(spans: list[str], moment: float | None, zone: ZoneInfo = BERLIN) -> bool:
    return QuietHours(spans, zone).contains(moment)


def test_without_a_trusted_clock_any_span_is_quiet() -> None:
    assert not quiet([], None)
    assert quiet(["22:00-06:30"], None)
    assert FILE_CLOCK.utc(10.0) is None
    assert ClockReading("ntp", 1.5e9).utc(10.0) == 1.5e9 + 10


@pytest.mark.parametrize(
    ("local", "expected"),
    [("21:59:59", False), ("22:00:00", True), ("23:59:59", True), ("00:00:00", True),
     ("06:29:59", True), ("06:30:00", False), ("12:00:00", False)],
)  # fmt: skip
def test_a_span_over_midnight(local: str, expected: bool) -> None:
    moment = datetime.fromisoformat(f"2026-11-21T{local}").replace(tzinfo=BERLIN).timestamp()
    assert quiet(["22:00-06:30"], moment) == expected


def test_equal_ends_are_the_whole_day() -> None:
    start = utc("2026-05-05T00:00:00")
    hours = QuietHours(["07:00-07:00"], BERLIN)
    assert all(hours.contains(start + 600 * i) for i in range(144))


def test_any_of_several_spans_counts() -> None:
    spans = ["08:00-09:00", "20:00-21:00"]
    assert quiet(spans, utc("2026-11-21T19:30:00"))  # 20:30 in Berlin
    assert not quiet(spans, utc("2026-11-21T12:00:00"))


def minutes_quiet(span: str, day: str, zone: ZoneInfo) -> int:
    """Minutes that are quiet from this local midnight to the next."""
    first = datetime.fromisoformat(day).replace(tzinfo=zone)
    end = (datetime.fromisoformat(day) + timedelta(days=1)).replace(tzinfo=zone)
    hours = QuietHours([span], zone)
    count = 0
    moment = first.timestamp()
    while moment < end.timestamp():
        count += hours.contains(moment)
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
    """08:00 local time, before and after the change."""
    for day, offset in (("2026-03-28", 1), ("2026-03-29", 2), ("2026-10-24", 2), ("2026-10-25", 1)):
        eight = utc(f"{day}T08:00:00") - 3600 * offset
        assert quiet(["20:00-08:00"], eight - 1)
        assert not quiet(["20:00-08:00"], eight)


def test_the_machine_s_own_zone_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    noon = utc("2026-01-15T12:00:00")
    try:
        for name, expected in (("UTC", False), ("Asia/Tokyo", True)):
            monkeypatch.setenv("TZ", name)
            time.tzset()
            assert QuietHours(["20:00-22:00"]).contains(noon) == expected
    finally:
        monkeypatch.undo()
        time.tzset()


@given(st.integers(0, 1439), st.integers(0, 1439), st.integers(0, 2**31))
def test_a_span_and_its_reverse_share_the_day(start: int, end: int, moment: int) -> None:
    def text(a: int, b: int) -> str:
        return f"{a // 60:02}:{a % 60:02}-{b // 60:02}:{b % 60:02}"

    one = quiet([text(start, end)], moment)
    other = quiet([text(end, start)], moment)
    assert (one == other) == (start == end)
