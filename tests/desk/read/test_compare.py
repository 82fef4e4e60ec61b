"""Two contents: told apart where they differ, not where they do not, within the same hours."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from agent.desk import read
from agent.desk.plan.trial import MIDNIGHT, Device, Told, counted, days
from agent.desk.read.compare import between, paired
from agent.desk.read.measure import Clusters, fieller
from agent.desk.read.rates import RATES, Rate, form
from tests.desk.read.site import frame, truth
from tests.desk.read.test_noise import policy

ATTENTION = RATES["attention"]
HOURLY = replace(policy("retail-eu"), window=3600)


def shown(seed: int, shares: tuple[float, ...], number: int, mean: float = 80.0) -> Any:
    rng = random.Random(seed)
    device = Device(HOURLY, rng)
    return frame(days(device, rng, number, 10, mean, ATTENTION, shares))


def test_a_difference_is_told_with_its_size() -> None:
    found = read.compare(shown(6, (0.3, 0.5), 12), "attention", 1, 0)
    assert found.told
    assert 0.2 in found.population
    assert found.population.low > 0
    assert found.visitors.width > 0
    assert found.days == 12
    assert found.left_out == 0
    said = found.sentence
    assert said.startswith(
        "More visits looked for a second or longer with slot 1 than with slot 0: by "
    )
    assert "points, p < 0.001; within the same device and hour." in said
    turned = read.compare(shown(6, (0.3, 0.5), 12), "attention", 0, 1)
    assert turned.population.low == pytest.approx(-found.population.high)
    assert turned.sentence.startswith("Fewer visits looked")


def test_without_a_difference_days_are_said() -> None:
    found = read.compare(shown(2, (0.4, 0.4), 6), "attention", 0, 1)
    assert not found.told
    assert 0 in found.population
    assert found.days_to_tell is not None
    assert found.sentence.startswith(
        "No difference can be told between slot 0 and slot 1 in how many visits looked for a second"
    )
    assert "10 points" in found.sentence
    more = read.compare(shown(2, (0.4, 0.4), 6, mean=20.0), "attention", 0, 1)
    assert more.days_to_tell is None or more.days_to_tell > found.days_to_tell


@pytest.mark.slow
def test_contents_that_do_not_differ_are_seldom_told_apart() -> None:
    told = 0
    for seed in range(40):
        pair = paired(shown(100 + seed, (0.35, 0.35), 6, mean=60.0), ATTENTION, 0, 1)
        told += 0 not in between(pair.sides, ATTENTION, 0.95)
    assert told <= 7  # of 40 at 5 %: more by chance once in five hundred


def test_contents_have_names_and_means_are_said_as_such() -> None:
    windows = shown(3, (0.4, 0.4), 6)
    found = read.compare(windows, "valence", 0, 1, names={0: "Autumn", 1: "Winter"})
    assert "between Autumn and Winter in the mean valence (-" in found.sentence
    lifted = windows.assign(valence_sum=windows["valence_sum"] + 5_000 * (windows["slot"] == 0))
    lifted["valence_sum"] = lifted["valence_sum"].round(-2)
    found = read.compare(lifted, "valence", 0, 1, names={0: "Autumn"})
    assert found.sentence.startswith("The mean valence was higher with Autumn than with slot 1: by")


def test_p_and_the_interval_agree() -> None:
    for seed in range(4):
        found = read.compare(shown(seed, (0.35, 0.42), 8), "attention", 1, 0)
        assert 0 <= found.p <= 1
        assert (found.p < 0.05) == (0 not in found.population)


def told_by_the_clock() -> list[Told]:
    """The share is that of the hour, the same for both; slot 1 is mostly on in the evening, when
    people look."""
    rng = random.Random(9)
    device = Device(HOURLY, rng)
    told = []
    for day in range(12):
        for hour in range(9, 19):
            look = 0.2 if hour < 14 else 0.6
            evening = hour >= 14
            slot = int((day % 4 != 0) == evening)
            exact = counted(rng, 90.0, ATTENTION, look)
            told.append(device.say(exact, slot, MIDNIGHT + day * 86_400 + hour * 3600))
    return told


def test_hours_do_not_pass_for_contents() -> None:
    windows = frame(told_by_the_clock())
    wrong = read.compare(windows, "attention", 1, 0, within=())
    assert wrong.told
    assert wrong.population.low > 0
    right = read.compare(windows, "attention", 1, 0)
    assert 0 in right.population
    assert right.within == ("device", "hour")
    assert "within the same" not in wrong.sentence


def test_hours_with_one_content_only_are_left_out() -> None:
    windows = shown(4, (0.3, 0.3), 8)
    late = windows["start"].dt.hour >= 15
    alone = windows[~(late & (windows["slot"] == 1))]
    found = read.compare(alone, "attention", 0, 1)
    assert found.left_out == int((late & (windows["slot"] == 0)).sum())
    never = windows[late == (windows["slot"] == 0)]
    with pytest.raises(read.NothingToAddError, match="never on show within the same"):
        read.compare(never, "attention", 0, 1)
    with pytest.raises(read.NothingToAddError, match="No window has slot 7"):
        read.compare(windows, "attention", 0, 7)
    with pytest.raises(read.ReadError, match="no rate"):
        read.compare(windows, "honesty", 0, 1)
    with pytest.raises(read.ReadError, match="no column"):
        read.compare(windows, "attention", 0, 1, by="mood")


def test_several_contents_are_corrected_for_their_number() -> None:
    windows = shown(5, (0.3, 0.3, 0.6), 14)
    found = read.compare_all(windows, "attention")
    assert len(found) == 3
    assert [each.p for each in found] == sorted(each.p for each in found)
    assert {each.first for each in found[:2]} | {each.second for each in found[:2]} >= {"slot 2"}
    assert found[0].told
    alone = read.compare(windows, "attention", 0, 2)
    assert found[0].p >= alone.p or found[1].p >= alone.p
    assert [each.p for each in read.holm([replace(alone, p=p) for p in (0.03, 0.01, 0.04)])] == [
        pytest.approx(0.03), pytest.approx(0.06), pytest.approx(0.06)
    ]  # fmt: skip


def test_devices_and_groups_are_compared_likewise() -> None:
    rng = random.Random(6)
    frames = []
    for name, share in (("box-1", 0.3), ("box-2", 0.6)):
        device = Device(HOURLY, rng)
        frames.append(frame(days(device, rng, 8, 10, 90.0, ATTENTION, (share,)), name))
    windows = pd.concat(frames, ignore_index=True)
    found = read.compare(windows, "attention", "box-2", "box-1", by="device")
    assert found.told
    assert found.within == ("hour",)


def test_fiellers_interval_by_hand() -> None:
    top, bottom = np.array([2.0, 5, 3, 6]), np.array([10.0, 18, 12, 21])
    low, high = fieller(Clusters(top, bottom, "days"), 3.18)
    for p in (low, high):
        d = top - p * bottom
        assert d.sum() ** 2 == pytest.approx(3.18**2 * 4 * d.var(ddof=1))
    wild = Clusters(top, np.array([10.0, -18, 12, -3]), "days")
    assert fieller(wild, 3.18) == (-np.inf, np.inf)


def test_cells_that_do_not_add_up_are_not_trusted() -> None:
    """As where a place's visits were capped: more expressions than visits."""
    windows = shown(8, (0.3,), 10)
    honest = read.measure(windows, "attention")
    capped = windows.assign(expression_neutral=windows["expression_neutral"] + 60)
    found = read.measure(capped, "attention")
    assert found.visitors.value == pytest.approx(honest.visitors.value, abs=0.02)
    own = read.measure(capped, "happiness").visitors.value
    names = [name for name in windows if name.startswith("expression_") and name[-1] != "b"]
    whole = capped[[name for name in names if capped[name].notna().any()]].sum().sum()
    assert own == pytest.approx(capped["expression_happiness"].sum() / whole)


def test_other_measurements_of_the_visits_narrow_a_share() -> None:
    rng = random.Random(12)
    device = Device(policy("retail-eu"), rng)
    told = [device.say(counted(rng, 8, ATTENTION, 0.3), 0, MIDNIGHT + 900 * n) for n in range(400)]
    windows = frame(told)
    all_of_it = read.measure(windows, "attention").visitors
    assert truth(told, "attention", 1, 2, 3) / truth(told, "visits", 0) in all_of_it
    bare = windows.drop(columns=[name for name in windows if name.startswith(("expr", "dwell"))])
    assert all_of_it.width < 0.95 * read.measure(bare, "attention").visitors.width
    assert len(form(bare, ATTENTION).rows) == len(form(windows, ATTENTION).rows)


def test_parts_of_others_and_what_one_window_can_tell() -> None:
    windows = shown(10, (0.3,), 3)
    micro = read.measure(windows, "micro_positive") if "micro_positive" in windows else None
    assert micro is None or 0 <= micro.visitors.low <= micro.visitors.high <= 1
    one = windows[windows["published"]].iloc[:1]
    found = read.measure(one, "attention")
    assert found.unit == "visits"
    assert "do not copy" in found.population.note
    nobody = one.assign(**{name: 0.0 for name in one if name.startswith(("visits", "expr", "att",
                                                                         "dwell"))
                           and not name.endswith("_b")})  # fmt: skip
    empty = read.measure(nobody, "attention")
    assert (empty.visitors.low, empty.visitors.high) == (0, 1)
    assert "as large as the visits" in empty.visitors.note
    own = Rate("own", "looked long", "share", ("attention_over_15",))
    assert (
        read.measure(windows, own).visitors.value
        < read.measure(windows, "attention").visitors.value
    )


def test_windows_without_a_known_start_have_no_hour_and_are_left_out() -> None:
    windows = shown(6, (0.3, 0.5), 12)
    lost = windows.assign(start=windows["start"].where(windows.index % 7 > 0))
    found = read.compare(lost, "attention", 1, 0)
    assert found.left_out == int(lost["start"].isna().sum()) > 0
    assert 0.2 in found.population
