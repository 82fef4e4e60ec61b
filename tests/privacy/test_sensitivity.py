"""The sensitivity of the release to one visit, by brute force."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from agent.base.config import MicroConfig
from agent.base.report import Quality
from agent.base.types import SENTIMENTS, TONES, Perceived, Tone, Visit, Words
from agent.base.vocabulary import AnyCell, Flag
from agent.privacy import release as release_module
from agent.privacy.policy.rules import Policy, resolve
from agent.privacy.window import (
    OUTCOMES,
    POLARITIES,
    SENSITIVITY,
    ExactCounts,
    Place,
    Window,
    Windows,
    place_cap,
)
from tests.privacy.people import Person, noised
from tests.privacy.voices import everything_said, listening_noised, tone, words
from tests.privacy.worlds import Draws, distance, loss, run, see, watch

MIN_SIZE = 40.0
CELLS = tuple(cell for cell in SENSITIVITY if not cell.startswith("room"))
"""Those of visits."""


def shown(which: int) -> np.ndarray:
    sums = np.zeros(8, np.float32)
    sums[which] = 5.0
    return sums


def extreme_visits() -> Iterator[Visit]:
    """Every combination of a visit's attributes, at and beyond the limits of each range, with one
    after the other of what it may have said."""
    said = itertools.cycle(everything_said())
    subsets = [
        set(chosen)
        for size in range(len(POLARITIES) + 1)
        for chosen in itertools.combinations(POLARITIES, size)
    ]
    seen: list[Any] = [  # size, analysable seconds, why not
        *((100.0, seconds, {}) for seconds in (1.0, 119.4, 120.6, 86_400.0)),
        (10.0, 0.0, {}),
        *((100.0, 0.5, {reason: 9.0}) for reason in (*OUTCOMES[2:], "unknown")),
    ]
    moods = [  # estimates, unsure, mean, dominant
        (0, 0, 0.0, 0), (1, 1, 1.0, 0), (7, 3, -1.0, 7), (9, 0, 1e9, 3), (9, 0, -1e9, 3),
    ]  # fmt: skip
    for stay, micro, (size, able, why), (estimates, unsure, mean, dominant) in itertools.product(
        (0.5, 5.0, 59.9, 86_400.0), subsets, seen, moods
    ):
        yield Visit(
            1, 0.0, stay, 0, passing=stay < 1.0,
            attention=stay, expression=shown(dominant), estimates=estimates, unsure=unsure,
            valence=mean * estimates, arousal=-mean * estimates, micro=set(micro),
            analysable=able, size=size, refused=dict(why), said=next(said),
        )  # fmt: skip


def count(visits: list[Visit]) -> ExactCounts:
    counts = ExactCounts()
    for visit in visits:
        counts.add(visit, MIN_SIZE, bounded=True)
    return counts


def test_no_visit_moves_a_cell_further_than_stated_and_some_visit_that_far() -> None:
    furthest = dict.fromkeys(CELLS, 0.0)
    nothing = ExactCounts().cells
    for visit in extreme_visits():
        counts = count([visit]).cells
        for cell in CELLS:
            moved = distance(cell, counts[cell], nothing[cell])
            assert moved <= SENSITIVITY[cell], (cell, visit)
            furthest[cell] = max(furthest[cell], float(moved))
    assert furthest == {cell: float(SENSITIVITY[cell]) for cell in CELLS}


EXTREMES = list(extreme_visits())


@given(st.lists(st.integers(0, len(EXTREMES) - 1), min_size=1, max_size=6), st.integers(0, 5))
@hypothesis_settings(max_examples=60, deadline=None)
def test_nor_does_it_among_others_in_any_order_or_merged(chosen: list[int], split: int) -> None:
    there = [EXTREMES[number] for number in chosen]
    merged = count(there[:split])
    merged.merge(count(there[split:]))
    for absent in range(len(there)):
        others = [*there[absent + 1 :], *there[:absent]]
        for cell in CELLS:
            moved = distance(cell, merged.cells[cell], count(others).cells[cell])
            assert moved <= SENSITIVITY[cell]


def counted(visits: list[Visit], places: list[Place | None]) -> ExactCounts:
    """In a window of 60 s, where a place adds at most `place_cap`."""
    windows = Windows(60, 2.0, MicroConfig(), bounded=True)
    windows.add_frame(Perceived(1.0, ()), 0, 0, ())
    windows.add_visits(
        replace(visit, first=0.0, last=1.0, place=place)
        for visit, place in zip(visits, places, strict=True)
    )
    (window,) = windows.finish()
    return window.counts[0]


@given(
    st.lists(
        st.tuples(st.integers(0, len(EXTREMES) - 1), st.sampled_from([(7, 1, 1), (7, 1, 2), None])),
        min_size=1,
        max_size=3 * place_cap(60),
    )
)
@hypothesis_settings(max_examples=60, deadline=None)
def test_nor_where_a_place_has_more_visits_than_count(
    chosen: list[tuple[int, Place | None]],
) -> None:
    """The bound per place clips sums, which moves no two of them further apart. Leaving out the
    visits beyond it would not do: with one less, another would count."""
    visits = [EXTREMES[number] for number, _ in chosen]
    places = [place for _, place in chosen]
    whole = counted(visits, places).cells
    for absent in range(len(visits)):
        others = visits[:absent] + visits[absent + 1 :]
        less = counted(others, places[:absent] + places[absent + 1 :]).cells
        for cell in CELLS:
            assert distance(cell, whole[cell], less[cell]) <= SENSITIVITY[cell]


def crowd(seed: int) -> list[Person]:
    rng = random.Random(seed)
    return [
        Person(
            track, arrives := rng.uniform(0, 90), arrives + rng.choice((0.3, 1.5, 8.0, 70.0)),
            shows=rng.choice(("neutral", "happiness", "anger")), valence=rng.choice((-1.0, 0.4)),
            attentive=rng.random() < 0.5, size=rng.choice((20.0, 100.0)), noisy=rng.random() < 0.4,
            micro=tuple(rng.sample(POLARITIES, rng.randrange(4))),
        )
        for track in range(5)
    ]  # fmt: skip


def moved_cells(one: Draws, other: Draws) -> list[AnyCell]:
    return [cell for (cell, a), (_, b) in zip(one, other, strict=True) if a != b]


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.slow
def test_from_frames_to_summaries_a_person_less_changes_numbers_alone(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """End to end over two windows and two slots. With the same noised numbers all other bytes must
    be equal: windows, slots, flags, reasons, sequence numbers."""
    settings = noised(window=60, k=3, epsilon=1.0)
    policy = resolve(settings)
    people = crowd(seed)
    whole = run(monkeypatch, watch(see(people, 125)), settings, least=100)
    assert {cell for cell, _ in whole.draws} == set(policy.cells)
    spent = []
    for absent in people:
        others = [person for person in people if person is not absent]
        less = run(monkeypatch, watch(see(others, 125)), settings, least=100)
        assert less.published == whole.published
        moved = moved_cells(whole.draws, less.draws)
        assert moved.count("visits") == (absent.leaves - absent.arrives > 1.0)
        assert all(moved.count(cell) <= 1 for cell in CELLS)
        for (cell, one), (_, other) in zip(whole.draws, less.draws, strict=True):
            assert distance(cell, one, other) <= SENSITIVITY[cell]
        spent.append(loss(policy, whole.draws, less.draws))
    assert max(spent) <= policy.epsilon_milli / 1000
    assert max(spent) > 0.3 * policy.epsilon_milli / 1000


def talk(people: list[Person], seed: int) -> list[tuple[Person | None, Tone | Words]]:
    """Readings of each person, alone in view or among others, in the three minutes."""
    rng = random.Random(seed)
    found: list[tuple[Person | None, Tone | Words]] = []
    for person in people:
        track = person.track if rng.random() < 0.5 else None
        for number in range(rng.randrange(1, 12)):
            time = min(person.arrives + 1.5 + 5 * number, person.leaves - 0.1)
            if time > person.arrives and time < person.arrives + 60:
                found.append((person, tone(time, rng.choice(TONES), track, valence=1.0)))
                found.append((person, words(time, rng.choice(SENTIMENTS), track)))
    passers_by = [tone(rng.uniform(0, 120), rng.choice(TONES)) for _ in range(9)]
    return found + [(None, reading) for reading in passers_by]


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.slow
def test_nor_does_a_person_who_speaks_for_a_minute(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same with voices and words: who is taken away takes away what she said, to the camera and
    among others; the rest is heard as before. All of it is within one visit's epsilon."""
    settings = listening_noised(window=60, k=3, epsilon=1.0)
    policy = resolve(settings)
    people = crowd(seed)
    said = talk(people, seed)
    whole = run(monkeypatch, watch(see(people, 125), [r for _, r in said]), settings, least=100)
    assert {cell for cell, _ in whole.draws} == set(policy.cells) >= set(SENSITIVITY)
    spent, moved = [], set()
    for absent in people:
        others = [person for person in people if person is not absent]
        left = [reading for whose, reading in said if whose is not absent]
        less = run(monkeypatch, watch(see(others, 125), left), settings, least=100)
        assert less.published == whole.published
        moved.update(moved_cells(whole.draws, less.draws))
        spent.append(loss(policy, whole.draws, less.draws))
    assert max(spent) <= policy.epsilon_milli / 1000
    assert moved >= {"speech", "room_tone", "room_words"}


def test_who_talks_to_the_room_for_longer_spends_more_by_so_much_a_turn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What a minute's bound does not protect: ten minutes of talk among others."""
    settings = listening_noised(window=300, k=3, epsilon=1.0)
    policy = resolve(settings)
    seen = see([], 900, fps=2.0)
    said: list[Tone | Words] = [tone(10 + 3 * n, "angry") for n in range(200)]
    whole = run(monkeypatch, watch(seen, said), settings, least=100)
    quiet = run(monkeypatch, watch(seen), settings, least=100)
    turns = 31  # those that hold the times from 10 to 607 s
    share = policy.epsilon("room_tone") / SENSITIVITY["room_tone"]
    assert loss(policy, whole.draws, quiet.draws) == turns * share
    assert turns * share < 1, "still less than a visit"
    assert set(moved_cells(whole.draws, quiet.draws)) == {"room_tone"}


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.slow
def test_nor_does_a_person_who_passes_instead_of_staying(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A moment more or less in view makes a visit of who passed by, or takes it away: that moves
    both sides, and costs no more than epsilon, since they share it."""
    settings = noised(window=60, k=3, epsilon=1.0)
    policy = resolve(settings)
    people = crowd(seed)
    whole = run(monkeypatch, watch(see(people, 125)), settings, least=100)
    for person in people:
        others = [each for each in people if each is not person]
        for seconds in (0.5, 0.95, 1.5):
            moved = replace(person, leaves=person.arrives + seconds)
            other = run(monkeypatch, watch(see([moved, *others], 125)), settings, least=100)
            assert other.published == whole.published
            gone = run(monkeypatch, watch(see(others, 125)), settings, least=100)
            assert loss(policy, other.draws, gone.draws) <= 1
            if (person.leaves - person.arrives > 1) != (seconds > 1):
                changed = moved_cells(whole.draws, other.draws)
                assert changed.count("passing") == changed.count("visits") == 1
                assert loss(policy, whole.draws, other.draws) <= 1


def test_a_face_that_can_be_seen_well_does_not_change_why_others_cannot(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = noised(window=60, k=3, epsilon=1.0)
    others = [Person(n, 1, 30, noisy=True) for n in range(1, 9)]
    whole = run(monkeypatch, watch(see([Person(0, 1, 30), *others], 70)), settings, least=100)
    less = run(monkeypatch, watch(see(others, 70)), settings, least=100)
    assert loss(resolve(settings), whole.draws, less.draws) <= 1
    assert "micro" in moved_cells(whole.draws, less.draws)


def test_somebody_who_comes_back_is_another_visit_and_costs_as_much_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The unit of privacy is the visit, not the person."""
    settings = noised(window=60, k=3, epsilon=1.0, visit_gap=2.0)
    there = [Person(1, 1, 9), Person(1, 15, 40), Person(1, 65, 100)]
    whole = run(monkeypatch, watch(see(there, 125)), settings)
    empty = run(monkeypatch, watch(see([], 125)), settings)
    assert moved_cells(whole.draws, empty.draws).count("visits") == 2  # two fell in one window
    assert 1 < loss(resolve(settings), whole.draws, empty.draws) <= 3


def test_a_person_who_is_taken_for_another_changes_no_more_than_three_visits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where geometry cannot tell people apart a person's absence may part, or merge, what others
    left: the unit of privacy is the visit that comes out, and a person between two others in the
    same place within `visit_gap` is part of theirs."""
    settings = noised(window=60, k=3, epsilon=1.0, visit_gap=10.0)

    def spot(track: int, arrives: float, leaves: float, shows: str) -> Person:
        return Person(track, arrives, leaves, shows=shows, path=lambda _: (300.0, 300.0))

    one, between, other = (
        spot(1, 1, 9, "anger"),
        spot(2, 13, 21, "happiness"),
        spot(3, 25, 40, "neutral"),
    )
    whole = run(monkeypatch, watch(see([one, between, other], 125)), settings)
    less = run(monkeypatch, watch(see([one, other], 125)), settings)
    assert whole.published == less.published
    for (cell, mine), (_, theirs) in zip(whole.draws, less.draws, strict=True):
        if cell == "visits":
            assert abs(mine[0] - theirs[0]) <= 1
    assert 0 < loss(resolve(settings), whole.draws, less.draws) <= 3
    alone = run(monkeypatch, watch(see([between], 125)), settings)
    empty = run(monkeypatch, watch(see([], 125)), settings)
    assert loss(resolve(settings), alone.draws, empty.draws) <= 1


def test_the_comparison_notices_what_is_not_noised(monkeypatch: pytest.MonkeyPatch) -> None:
    """An exact number of visits leaked in the quality figures is detected."""
    settings = noised(window=60, k=3, epsilon=1.0)

    def leak(window: Window, policy: Policy, flags: set[Flag]) -> Quality:
        true = sum(each.cells["visits"][0] for each in window.counts.values())
        return Quality(fps=true, usable=100, flags=())

    monkeypatch.setattr(release_module, "_quality", leak)
    whole = run(monkeypatch, watch(see([Person(1, 1, 20)], 70)), settings)
    empty = run(monkeypatch, watch(see([], 70)), settings)
    assert whole.published != empty.published
