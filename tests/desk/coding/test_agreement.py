"""Agreement against worked examples."""

from __future__ import annotations

import math
from itertools import permutations

import pytest
from hypothesis import given, settings

from agent.desk.coding.agreement import kappa, overlap, spotted
from agent.desk.coding.event import Event
from tests.desk.coding.lists import events


def answers(table: list[list[int]]) -> tuple[list[int], list[int]]:
    pairs = [(a, b) for a, row in enumerate(table) for b, n in enumerate(row) for _ in range(n)]
    return [a for a, _ in pairs], [b for _, b in pairs]


def test_kappa_of_the_example_that_introduced_it() -> None:
    """Cohen 1960, table 1, in 200 items: .29 of agreement by chance .41, of .70 seen: .492."""
    found = kappa(*answers([[88, 14, 18], [10, 40, 10], [2, 6, 12]]), [0, 1, 2])
    assert found.value == pytest.approx(0.492, abs=0.0005)
    assert found.items == 200


def test_kappa_and_its_interval_by_hand() -> None:
    """20 + 15 of 50 agree: seen .7, by chance .5, kappa .4; the standard error after Fleiss, Cohen
    and Everitt written out for two classes."""
    found = kappa(*answers([[20, 5], [10, 15]]), [0, 1])
    p = [[0.4, 0.1], [0.2, 0.3]]
    rows, columns, k, chance, seen = [0.5, 0.5], [0.6, 0.4], 0.4, 0.5, 0.7
    same = sum(p[n][n] * (1 - (rows[n] + columns[n]) * (1 - k)) ** 2 for n in (0, 1))
    apart = (1 - k) ** 2 * (p[0][1] * (columns[0] + rows[1]) ** 2
                            + p[1][0] * (columns[1] + rows[0]) ** 2)  # fmt: skip
    bias = (k - chance * (1 - k)) ** 2
    half = 1.96 * math.sqrt((same + apart - bias) / 50) / (1 - chance)
    assert (found.value, found.high - found.value) == pytest.approx((k, half))
    assert seen - chance == pytest.approx(k * (1 - chance))


def test_weights_forgive_neighbours() -> None:
    near = kappa([0, 1, 2, 3, 4], [1, 2, 3, 4, 3], range(5), "quadratic")
    far = kappa([0, 1, 2, 3, 4], [4, 4, 0, 0, 0], range(5), "quadratic")
    assert near.value > 0.5 > 0 > far.value
    assert kappa([0, 1, 2], [1, 2, 1], range(3)).value < 0


def test_kappa_is_nan_where_nothing_can_differ() -> None:
    assert math.isnan(kappa([], [], [0, 1]).value)
    assert math.isnan(kappa([1, 1], [1, 1], [0, 1]).value)
    assert kappa([0, 1], [0, 1], [0, 1]).value == 1.0


def test_answers_to_other_items_and_unknown_classes_are_refused() -> None:
    with pytest.raises(ValueError, match="same items"):
        kappa([0], [], [0])
    with pytest.raises(ValueError, match="maybe"):
        kappa(["maybe"], ["yes"], ["yes", "no"])


def test_half_an_overlap_is_a_hit_and_less_is_none() -> None:
    coded = [Event(1.0, 2.0)]
    assert spotted([Event(1.0, 1.5)], coded).f1 == 1.0
    assert spotted([Event(1.0, 1.49)], coded).f1 == 0.0
    assert spotted([Event(1.0, 4.0)], coded).f1 == 0.0


def test_a_coded_event_is_hit_once() -> None:
    found = [Event(1.0, 1.5), Event(1.5, 2.0)]
    result = spotted(found, [Event(1.0, 2.0)])
    assert (result.precision, result.recall) == (0.5, 1.0)
    assert result.f1 == pytest.approx(2 / 3)


def test_f1_is_nan_only_where_there_is_nothing() -> None:
    assert math.isnan(spotted([], []).f1)
    assert spotted([], [Event(1.0, 2.0)]).f1 == 0.0


@settings(max_examples=60, deadline=None)
@given(events(), events())
def test_hits_are_symmetric_and_each_event_is_in_one(a: list[Event], b: list[Event]) -> None:
    forth, back = spotted(a, b), spotted(b, a)
    assert len(forth.hits) == len(back.hits)
    assert len({i for i, _ in forth.hits}) == len({j for _, j in forth.hits}) == len(forth.hits)
    assert all(overlap(a[i], b[j]) >= 0.5 for i, j in forth.hits)


def test_as_many_hits_as_any_pairing_gives() -> None:
    found = [Event(0.0, 1.0), Event(0.9, 2.0), Event(2.1, 3.0)]
    coded = [Event(0.1, 1.1), Event(1.0, 2.0), Event(2.0, 3.1)]
    best = max(
        sum(overlap(found[i], coded[j]) >= 0.5 for i, j in enumerate(order))
        for order in permutations(range(3))
    )
    assert len(spotted(found, coded).hits) == best
