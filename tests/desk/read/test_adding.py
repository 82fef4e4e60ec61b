"""Sums over windows: what is added, what is refused, what is said beside it."""

from __future__ import annotations

import json
import math
import random
from typing import Any

import numpy as np
import pandas as pd
import pytest

from agent.base.report import to_json
from agent.desk import read
from agent.desk.plan.trial import Device, Told, counted, days
from agent.desk.read.noise import deviation
from agent.desk.read.rates import RATES
from tests.desk.read.site import frame, truth
from tests.desk.read.test_noise import policy

ATTENTION = RATES["attention"]
RETAIL = policy("retail-eu")
LOOKED = ("attention_from_1_to_5", "attention_from_5_to_15", "attention_over_15")


@pytest.fixture(scope="module")
def told() -> list[Told]:
    """Two days of two slots, one of them quiet."""
    rng = random.Random(11)
    device = Device(RETAIL, rng)
    return list(days(device, rng, 2, 20, 60.0, ATTENTION, (0.3, 0.5)))


@pytest.fixture
def windows(told: list[Told]) -> Any:
    return frame(told, bounds=True)


def test_a_sum_is_that_of_its_windows(told: list[Told], windows: Any) -> None:
    found = read.total(windows, "visits", level=0.999)
    said = [each.summary.visits for each in told if each.summary.visits is not None]
    assert found.interval.value == sum(said)
    assert found.added == len(said)
    assert found.windows == len(told) == 40
    assert truth(told, "visits", 0) in found.interval
    looked = read.total(windows, LOOKED, level=0.999)
    assert looked.interval.value == sum(windows[name].sum() for name in LOOKED)
    assert truth(told, "attention", 1, 2, 3) in looked.interval


def test_more_windows_are_less_noisy_for_each(windows: Any) -> None:
    one = read.total(windows[windows["published"]].iloc[:1], "visits").interval
    all_of_them = read.total(windows, "visits")
    assert all_of_them.interval.width < one.width * all_of_them.added / 2


def test_one_sided_bounds_and_levels(windows: Any) -> None:
    both = read.total(windows, "visits").interval
    low = read.total(windows, "visits", side="low").interval
    high = read.total(windows, "visits", side="high").interval
    assert both.low < low.low < low.value < high.high < both.high
    assert np.isinf(low.high)
    assert high.low == 0  # nothing bounds it but what visits are
    assert read.total(windows, "visits", level=0.5).interval.width < both.width
    for level in (0.0, 0.3, 1.0, 95):
        with pytest.raises(read.ReadError, match="level"):
            read.total(windows, "visits", level=level)


def test_counts_are_cut_at_zero_and_never_empty(windows: Any) -> None:
    below = windows[windows["published"]].iloc[:1].assign(expression_fear=-250.0)
    found = read.total(below, "expression_fear").interval
    assert (found.value, found.low, found.high) == (-250, 0, 0)
    assert "larger than the level" in found.note
    assert read.total(below.assign(valence_sum=-90_000.0), "valence_sum").interval.high < 0


def test_a_saturated_count_has_no_upper_bound(windows: Any) -> None:
    full = windows[windows["published"]].iloc[:1].assign(visits=1008.0)
    found = read.total(full, "visits").interval
    assert np.isinf(found.high)
    assert found.low > 900


def test_groups_add_up_to_the_whole(windows: Any) -> None:
    whole = read.total(windows, "visits").interval.value
    for by in ("slot", "hour", "day", "device", ("slot", "hour"), "weekday", "policy"):
        found = read.totals(windows, ["visits", "valence_sum"], by)
        assert found["visits"].sum() == whole
        assert found["windows"].sum() == len(windows)
        known = found.dropna()
        assert (known["visits_low"] <= known["visits"]).all()
    berlin = read.totals(windows, "visits", "hour", timezone="Europe/Berlin")["hour"]
    assert berlin.min() == read.totals(windows, "visits", "hour")["hour"].min() + 2
    with pytest.raises(read.ReadError, match="cannot be grouped by"):
        read.totals(windows, "visits", "weather")
    with pytest.raises(read.ReadError, match="no time zone"):
        read.totals(windows, "visits", "hour", timezone="Mars/Olympus")


def test_what_must_not_be_added_is_refused(windows: Any) -> None:
    with pytest.raises(read.UnitError, match="hundredths and visits"):
        read.total(windows, ["visits", "valence_sum"])
    with pytest.raises(read.CannotAddError, match="more than once"):
        read.total(windows, ["visits", "dwell_under_5"])
    with pytest.raises(read.CannotAddError, match="more than once"):
        read.total(windows, ["visits", "visits"])
    with pytest.raises(read.ReadError, match="no figure"):
        read.total(windows, "micro_expected_false_alarms_tenths")
    with pytest.raises(read.NothingToAddError):
        read.total(windows, "words_positive")
    with pytest.raises(read.ReadError, match="no frame of windows"):
        read.total(pd.DataFrame({"visits": [1]}), "visits")


def test_second_copies_are_left_out_and_forgeries_refused(windows: Any) -> None:
    once = read.total(windows, "visits")
    twice = read.total(pd.concat([windows, windows.iloc[:7]]), "visits")
    assert twice.interval == once.interval
    assert "7 second copies left out" in twice.notes
    forged = windows.iloc[:1].assign(visits=400.0)
    with pytest.raises(read.ConflictError, match="differ"):
        read.total(pd.concat([windows, forged]), "visits")


def test_gaps_flags_and_mixtures_are_said(told: list[Told]) -> None:
    rng = random.Random(3)
    other = Device(policy("research-consented"), rng, boot="00000009")
    more = [other.say(counted(rng, 80, ATTENTION, 0.3), 0, 1_790_100_000 // 300 * 300 + 300 * n)
            for n in range(3)]  # fmt: skip
    assert all(each.summary.visits is not None for each in more)
    lossy = [each for number, each in enumerate(told) if number not in (4, 5, 9)]
    windows = pd.concat([frame(lossy), frame(more, "box-2")], ignore_index=True)
    dark = windows.assign(flags=["low_light"] * 4 + [""] * (len(windows) - 4))
    found = read.total(dark, "visits")
    assert found.missing == 3
    assert "3 messages are missing" in found.notes
    assert {"2 different values of policy", "2 different values of epsilon_milli"} <= {*found.notes}
    assert found.flags == {"low_light": 4}
    narrow, wide = (
        read.total(windows[(windows["device"] == each) & windows["published"]].iloc[:3], "visits")
        for each in ("box-2", "box-1")
    )
    assert narrow.interval.width < 0.7 * wide.interval.width


def test_waiting_windows_are_counted_where_they_are_published() -> None:
    rng = random.Random(5)
    device = Device(RETAIL, rng)
    told = [device.say(counted(rng, 4, ATTENTION, 0.3), 0, 1_790_035_200 + 900 * n)
            for n in range(300)]  # fmt: skip
    windows = frame(told)
    waited = [each for each in told if each.summary.visits is not None]
    assert waited
    assert all(each.summary.window.merged > 0 for each in waited)
    found = read.total(windows, "visits")
    after = max(number for number, each in enumerate(told) if each.summary.visits is not None)
    assert found.waiting == 299 - after
    assert truth(told, "visits", 0) in read.total(windows, "visits", level=0.999).interval
    alone = windows.assign(merged=0)
    assert read.total(alone, "visits").interval.width < found.interval.width / 2
    unknown = windows.assign(merged=np.where(windows["published"], 255, 0))
    with pytest.raises(read.NothingToAddError):
        read.total(unknown, "visits")
    assert read.total(unknown, "dwell_under_5").added == len(waited)


def test_a_single_number() -> None:
    found = read.single(34, 5.0)
    assert (found.low, found.high) == (19, 49)
    assert read.single(34, 5.0, noises=4).width > found.width
    assert read.single(70, 0.0, count=False).width == 0
    assert str(found) == "34 (19 to 49, 95 %)"


def test_a_row_says_what_a_sum_of_it_says(told: list[Told], windows: Any) -> None:
    for place in np.flatnonzero(windows["published"])[:5]:
        row = windows.iloc[[place]]
        for figure in ("visits", "attention_under_1", "valence_sum"):
            found = read.total(row, figure).interval
            assert found.low == row[f"{figure}_low"].iloc[0]
            assert found.high == row[f"{figure}_high"].iloc[0]
    assert windows.loc[~windows["published"], "visits_low"].isna().all()


def test_a_hundred_thousand_windows_are_added(windows: Any) -> None:
    """A frame of that size goes through; how long it takes is measured elsewhere."""
    many = pd.concat([windows[windows["published"]]] * 4000, ignore_index=True)[:100_000]
    many["seq"] = np.arange(len(many))
    found = read.total(many, "visits")
    assert found.added == 100_000
    noise = 2 * 1.96 * math.sqrt(100_000) * deviation(5.0)
    assert noise < found.interval.width < 1.7 * noise  # rounding is allowed for


def test_a_row_holds_what_its_message_said() -> None:
    rng = random.Random(1)
    one = Device(RETAIL, rng).say(counted(rng, 200, ATTENTION, 0.3), 3, 1_790_035_200)
    said = json.loads(to_json(one.summary))
    row = frame([one]).iloc[0]
    assert row["visits"] == said["visits"]
    assert row["slot"] == 3
    assert row["start"].timestamp() == said["window"]["start"]
    assert row["expression_happiness"] == said["expression"]["happiness"]
    assert row["valence_sum"] == said["valence"]["sum"]
