"""What is heard and read, from readings to summaries."""

from __future__ import annotations

import math
import random
from collections.abc import Iterable
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from agent.base.report import Summary, to_json
from agent.base.types import SENTIMENTS, TONES, UNSURE, Fused, Perceived, Tone, Words
from agent.base.vocabulary import AnyCell
from agent.privacy.heard import (
    MAX_TURNS,
    READING,
    SENSITIVITY,
    TURN,
    UNIT,
    RoomTurns,
    contribution,
    no_counts,
)
from agent.privacy.policy.rules import resolve
from agent.privacy.releaser import Releaser
from agent.privacy.visits import VisitBook
from tests.privacy.people import MODEL, Person, config, face, frames, reasons
from tests.privacy.voices import (
    Reading,
    everything_said,
    fused,
    give,
    heard_of,
    listening,
    listening_noised,
    run,
    tone,
    words,
)


def shown(counts: Any) -> dict[str, int]:
    """The counts that are not 0."""
    return {name: number for name, number in counts.model_dump().items() if number}


def test_a_visit_counts_once_in_every_cell_where_it_ends() -> None:
    there = [Person(1, 0, 15), Person(2, 16, 19)]
    readings: list[Reading] = [
        tone(4, "happy", 1), tone(7, "happy", 1, valence=0.7), tone(10.5, "angry", 1),
        words(6, "positive", 1), words(12, "negative", 1), words(13, "positive", 1),
        fused(5, "positive", 1, ("face", "voice")), fused(12.5, "positive", 1, ("face", "words")),
        fused(17, "neutral", 2),
    ]  # fmt: skip
    first, second = heard_of(frames(there, 20, 10), readings, listening())
    assert first.visits is None, "it went on beyond the window"
    assert (first.heard.voice, first.heard.text) == ("below_k", "below_k")
    assert second.visits == 2
    assert second.tone is not None
    assert shown(second.tone) == {"happy": 1}
    heard = second.heard
    assert (heard.voice, heard.text) == ("published", "published")
    assert shown(heard.speech) == {"none": 1, "from_5_to_15": 1}
    assert heard.voice_valence is not None
    assert heard.voice_valence.sum == round(100 * (0.5 + 0.7 + 0.5) / 3)
    assert heard.voice_arousal is not None
    assert heard.voice_arousal.sum == -25
    assert shown(heard.words) == {"positive": 1}
    assert shown(heard.fused) == {"positive": 1, "neutral": 1}
    assert shown(heard.channels) == {"face": 2, "voice": 1, "words": 1}
    assert shown(heard.room_tone) == shown(heard.room_words) == {}
    assert set(reasons(second)) == {"micro"}, "too few frames for it"


@pytest.mark.parametrize("labels", [(UNSURE, UNSURE, "sad"), (UNSURE,)])
def test_mostly_unsure_readings_make_an_unsure_visit(labels: tuple[str, ...]) -> None:
    readings: list[Reading] = [tone(3.5 + n, label, 1) for n, label in enumerate(labels)]
    readings += [words(3.5 + n, UNSURE, 1) for n in range(3)]
    readings += [fused(3.5 + n, UNSURE, 1, ("face", "voice")) for n in range(3)]
    (summary,) = heard_of(frames([Person(1, 0, 9)], 10, 10), readings, listening())
    assert summary.tone is not None
    assert shown(summary.tone) == {"unsure": 1}
    assert shown(summary.heard.words) == shown(summary.heard.fused) == {"unsure": 1}


def test_the_room_counts_a_turn_once_by_its_dominant_tone() -> None:
    settings = listening(window=60)
    readings: list[Reading] = [tone(2 + n, "sad") for n in range(15)]
    readings += [tone(21, "angry"), tone(24, "happy"), tone(27, "happy")]
    readings += [tone(45, UNSURE), words(3, "negative"), words(4, "negative")]
    (summary,) = heard_of(frames([Person(1, 0, 50)], 60, 10), readings, settings)
    assert summary.tone is not None
    assert shown(summary.tone) == {}, "nobody's"
    assert shown(summary.heard.speech) == {"none": 1}
    assert shown(summary.heard.room_tone) == {"sad": 1, "happy": 1, "unsure": 1}
    assert shown(summary.heard.room_words) == {"negative": 1}


def test_a_turn_belongs_to_the_slot_on_show_when_it_began_and_adds_none() -> None:
    there = [Person(1, 0, 8), Person(2, 22, 40)]
    readings: list[Reading] = [tone(3), tone(18, "sad"), tone(39, "angry"), tone(50, "neutral")]

    def slots(time: float) -> int:
        return 7 if time < 19 else 9

    settings = listening(window=60)
    seen = frames(there, 45, 10)
    first, second = heard_of(seen, readings, settings, slots=slots)
    assert (first.slot, second.slot) == (7, 9)
    assert shown(first.heard.room_tone) == {"happy": 1}
    assert shown(second.heard.room_tone) == {"angry": 1}, "the last came after the last frame"
    other = heard_of(frames(there, 60, 10), [tone(3), words(4)], settings, slots=lambda _: 3)
    assert [summary.slot for summary in other] == [3]


def test_speech_in_a_withheld_window_waits_and_is_published_with_the_next() -> None:
    there = [Person(n, 10 * n + 1, 10 * n + 6) for n in range(3)]
    readings: list[Reading] = [tone(10 * n + 4, "angry", n) for n in range(3)]
    readings += [tone(10 * n + 8, "sad") for n in range(3)]
    one, two, three = heard_of(frames(there, 30, 10), readings, listening(k=3))
    assert (one.visits, two.visits, three.visits) == (None, None, 3)
    assert {one.heard.voice, one.heard.text} == {"below_k"}
    assert reasons(one)["tone"] == "below_k"
    assert three.tone is not None
    assert (shown(three.tone), shown(three.heard.room_tone)) == ({"angry": 3}, {"sad": 3})
    assert three.window.merged == 2


def test_an_empty_room_publishes_no_voice() -> None:
    """Voices alone are not enough: whether a window is published depends on visits."""
    for seed in range(20):
        readings: list[Reading] = [tone(3 * n + 1, "angry") for n in range(19)]
        for summary in heard_of(frames([], 60, 2), readings, listening_noised(k=20), seed=seed):
            assert summary.visits is None
            assert all(value is None for value in dict(summary.heard).values()
                       if not isinstance(value, str | tuple))  # fmt: skip


def test_without_a_microphone_the_voices_are_null_with_the_reason() -> None:
    seen = list(frames([Person(1, 0, 9)], 10, 10))
    (deaf,) = heard_of(seen, [words(3, "positive", 1)], listening(), sound=False)
    assert (deaf.heard.voice, deaf.heard.text) == ("no_microphone", "published")
    assert deaf.tone is None
    assert deaf.heard.speech is None
    assert deaf.heard.room_tone is None
    assert reasons(deaf)["tone"] == "no_microphone"
    assert shown(deaf.heard.words) == {"positive": 1}


@pytest.mark.parametrize(
    ("privacy", "voice", "text"),
    [({"microphone": True}, "published", "policy"), ({"words": True}, "policy", "published")],
)
def test_each_channel_alone(privacy: dict[str, bool], voice: str, text: str) -> None:
    readings: list[Reading] = [
        tone(3, "sad", 1),
        tone(4),
        words(3, "negative", 1),
        words(4),
        fused(5),
    ]
    (summary,) = heard_of(frames([Person(1, 0, 9)], 10, 10), readings, config(**privacy))
    heard = summary.heard
    assert (heard.voice, heard.text) == (voice, text)
    voices: list[object] = [summary.tone, heard.speech, heard.voice_valence, heard.room_tone]
    texts: list[object] = [heard.words, heard.room_words]
    assert {cell is None for cell in voices} == {voice == "policy"}
    assert {cell is None for cell in texts} == {text == "policy"}
    assert heard.fused is not None


def test_with_both_off_every_byte_is_as_without_readings() -> None:
    there = [Person(1, 0, 9), Person(2, 3, 19)]
    readings: list[Reading] = [
        tone(4, "sad", 1),
        tone(5),
        words(6, "negative", 2),
        words(7),
        fused(8),
    ]
    for settings in (config(), config(microphone=False, words=False)):
        loud = run(frames(there, 20, 10), readings, settings)
        quiet = run(frames(there, 20, 10), [], settings, sound=False)
        assert [to_json(each.summary) for each in loud] == [to_json(e.summary) for e in quiet]
        assert all(type(each.summary) is Summary for each in loud)
        assert b"heard" not in b"".join(to_json(each.summary) for each in loud)


def test_what_is_published_spends_the_epsilon_of_its_cell_and_no_more() -> None:
    policy = resolve(listening_noised(k=3, epsilon=2.0))
    assert sum(policy.epsilon(cell) for cell in policy.cells) == 2
    assert set(SENSITIVITY) <= set(policy.cells)
    off = resolve(listening_noised(k=3, epsilon=2.0, microphone=False, words=False))
    assert policy.epsilon("visits") < off.epsilon("visits"), "shared with what is heard"


# Visits: whose the readings are


def book(*people: Person, end: float = 30.0) -> tuple[VisitBook, list[Perceived]]:
    return VisitBook(config().privacy), list(frames(people, end, 10))


def test_a_reading_goes_to_the_visit_of_its_face_or_nowhere() -> None:
    visits, seen = book(Person(1, 0, 20), Person(2, 0, 20))
    for frame in seen[:100]:
        visits.update(frame, 0)
    assert visits.hear(tone(9, track=1))
    assert visits.read(words(9, track=2))
    assert visits.fuse(fused(9, track=2))
    assert not visits.hear(tone(9, track=3)), "a face that is no stay"
    assert not visits.hear(tone(9)), "the room's"
    first, second = visits.finish()
    assert first.said is not None
    assert second.said is not None
    assert (first.said.tone.readings, first.said.words.readings) == (1, 0)
    assert (second.said.tone.readings, second.said.words.readings) == (0, 1)
    assert not visits.hear(tone(9, track=1)), "it has ended"


def test_what_was_said_before_and_after_a_short_absence_is_one_visit() -> None:
    visits, seen = book(Person(1, 0, 8, path=lambda _: (300, 300)),
                        Person(5, 12, 20, path=lambda _: (300, 300)))  # fmt: skip
    ended = []
    for frame in seen:
        ended += visits.update(frame, 0)
        if frame.time == 5.0:
            assert visits.hear(tone(5, "sad", 1))
        if frame.time == 13.0:
            assert visits.hear(tone(13, "angry", 5))
            assert visits.fuse(fused(13, track=5, channels=("voice",)))
        if frame.time == 18.0:
            assert visits.hear(tone(18, "angry", 5))
    (visit,) = ended + visits.finish()
    assert visit.said is not None
    assert visit.said.seconds == 9.0
    assert visit.said.tone.readings == 3
    assert TONES[visit.said.tone.dominant] == "angry"
    assert visit.said.channels == {"voice"}


def test_who_never_spoke_carries_no_sums() -> None:
    visits, seen = book(Person(1, 0, 20))
    for frame in seen[:150]:
        visits.update(frame, 0)
    assert [visit.said for visit in visits.finish()] == [None]


BROKEN = [
    replace(tone(9, track=1), valence=math.nan),
    replace(tone(9, track=1), seconds=math.inf),
    replace(tone(9, track=1), probabilities=np.full(4, np.nan, np.float32)),
    replace(tone(9, track=1), probabilities=np.ones(3, np.float32)),
    replace(words(9, track=1), probabilities=np.ones((3, 1), np.float32)),
    replace(words(9, track=1), time=math.nan),
    replace(fused(9, track=1), probabilities=np.full(3, np.inf, np.float32)),
]


@pytest.mark.parametrize("reading", BROKEN, ids=str)
def test_a_broken_reading_is_not_counted(reading: Reading) -> None:
    room = reading if isinstance(reading, Fused) else replace(reading, track_id=None)
    quiet = run(frames([Person(1, 0, 9)], 10, 10), [], listening())
    releaser = Releaser(listening(), resolve(listening()), model=MODEL, rng=random.Random(0))
    before = 0.0
    done = []
    for frame in frames([Person(1, 0, 9)], 10, 10):
        done += releaser.observe(frame)
        releaser.listen(frame.time, frame.time - before)
        before = frame.time
        if frame.time == 5.0:
            give(releaser, reading)
            give(releaser, room)
    done += releaser.finish()
    assert [to_json(each.summary) for each in done] == [to_json(e.summary) for e in quiet]


@pytest.mark.parametrize("seconds", [-3.0, 1e9])
def test_no_reading_adds_more_than_it_covers(seconds: float) -> None:
    visits, seen = book(Person(1, 0, 20))
    for frame in seen[:150]:
        visits.update(frame, 0)
    visits.hear(tone(9, track=1, seconds=seconds))
    (visit,) = visits.finish()
    assert visit.said is not None
    assert 0 <= visit.said.seconds <= READING


# The room's sensitivity, by brute force


def counted(readings: Iterable[Tone | Words], length: int = 900) -> dict[tuple[int, AnyCell], Any]:
    """Numbers of each slot and cell of one window."""
    turns = RoomTurns(length)
    for reading in readings:
        cell: AnyCell = "room_tone" if isinstance(reading, Tone) else "room_words"
        slot = int(reading.time // 37) % 2
        turns.add(cell, reading.time, slot, reading.probabilities, reading.label)
    total: dict[tuple[int, AnyCell], Any] = {}
    for slot, numbers in turns.counts():
        for cell, each in numbers.items():
            total[slot, cell] = np.array(each) + total.get((slot, cell), 0)
    return total


def moved(one: dict[tuple[int, AnyCell], Any], other: dict[tuple[int, AnyCell], Any]) -> int:
    """L1 over slots and cells."""
    zero = {cell: np.array(numbers) for cell, numbers in no_counts().items()}
    return sum(
        int(np.abs(one.get(key, zero[key[1]]) - other.get(key, zero[key[1]])).sum())
        for key in one.keys() | other.keys()
    )


def speech(start: float, end: float, label: str) -> list[Tone]:
    """Readings of three seconds of which some part lies within a span, whatever their phase."""
    steps = [start + 0.05 + 0.9 * n for n in range(int((end + READING - start) / 0.9) + 1)]
    return [tone(time, label) for time in steps if time < end + READING]


@pytest.mark.parametrize("length", [60, 900])
@pytest.mark.slow
def test_a_minute_moves_no_more_than_stated_wherever_it_lies(length: int) -> None:
    """Everybody falls silent for a minute, or speaks otherwise: at every phase."""
    furthest = 0
    others = [tone(1.0 + 3 * n, TONES[n % 3]) for n in range(length // 3)]
    for tenths in range(0, 10 * min(length, 3 * TURN), 7):
        start = tenths / 10
        said = [reading for reading in speech(start, start + UNIT, "sad") if reading.time < length]
        for background in ([], others):
            within = [r for r in background if not start <= r.time <= start + UNIT + READING]
            whole = counted([*within, *said * 3], length)
            for less in (within, background):
                furthest = max(furthest, moved(whole, counted(less, length)))
    assert furthest <= SENSITIVITY["room_tone"]
    assert furthest >= min(SENSITIVITY["room_tone"] - 2, 2 * (length // TURN))


times = st.floats(0, 899.9)
tones = st.builds(tone, times, st.sampled_from((*TONES, UNSURE)))
utterances = st.builds(words, times, st.sampled_from((*SENTIMENTS, UNSURE)))


@given(st.lists(tones, max_size=40), st.lists(tones, max_size=40), times)
@hypothesis_settings(max_examples=80, deadline=None)
@pytest.mark.slow
def test_nor_does_any_replacement_within_a_minute(
    there: list[Tone], instead: list[Tone], start: float
) -> None:
    """By any number of readings, among any others, in any order."""
    span = start, start + UNIT + READING
    kept = [reading for reading in there if not span[0] <= reading.time <= span[1]]
    new = [reading for reading in instead if span[0] <= reading.time <= span[1]]
    assert moved(counted(there), counted([*new, *kept])) <= SENSITIVITY["room_tone"]
    assert 2 * MAX_TURNS == SENSITIVITY["room_tone"] == SENSITIVITY["room_words"]


@given(st.lists(utterances, max_size=60), st.lists(utterances, max_size=60), st.integers(1, 14))
@hypothesis_settings(max_examples=80, deadline=None)
@pytest.mark.slow
def test_longer_speech_moves_two_more_for_each_further_turn(
    there: list[Words], instead: list[Words], minutes: int
) -> None:
    """What is not protected has a bound too."""
    end = 60.0 * minutes
    kept = [reading for reading in there if reading.time > end]
    new = [reading for reading in instead if reading.time <= end]
    turns = math.floor(end / TURN) + 1
    assert moved(counted(there), counted([*new, *kept])) <= 2 * turns


@given(st.lists(st.one_of(tones, utterances), max_size=60), st.sampled_from([10, 60, 300, 900]))
@hypothesis_settings(max_examples=60, deadline=None)
@pytest.mark.slow
def test_a_window_counts_no_more_turns_than_it_has(
    readings: list[Tone | Words], length: int
) -> None:
    within = [replace(reading, time=reading.time % length) for reading in readings]
    total = counted(within, length)
    for cell in ("room_tone", "room_words"):
        counts = sum(int(n.sum()) for (_, each), n in total.items() if each == cell)
        assert counts <= max(1, length // TURN)


@given(st.lists(tones, min_size=1, max_size=30), st.randoms(use_true_random=False))
@hypothesis_settings(max_examples=40, deadline=None)
@pytest.mark.slow
def test_the_order_of_readings_within_a_turn_matters_for_its_slot_only(
    readings: list[Tone], rng: random.Random
) -> None:
    mixed = readings[:]
    rng.shuffle(mixed)

    def whole(given: list[Tone]) -> int:
        return sum(int(numbers.sum()) for numbers in counted(given).values())

    assert whole(readings) == whole(mixed)


def test_speech_over_two_windows_moves_both_together_by_no_more() -> None:
    """Each turn lies in one window: lengths are multiples of a turn."""
    for length in (60, 300, 900, 3600):
        assert length % TURN == 0
    for start in np.arange(30.0, 60.0, 1.7):
        said = speech(float(start), float(start) + UNIT, "sad")
        parts = [[r for r in said if a <= r.time < b] for a, b in pairwise((0, 60, 120, 180))]
        assert sum(moved(counted(part, 60), {}) for part in parts) <= MAX_TURNS


# Sensitivity to a visit: every combination of what it may have said


def test_no_visit_moves_a_heard_cell_further_than_stated_and_some_that_far() -> None:
    furthest = dict.fromkeys((each for each in SENSITIVITY if not each.startswith("room")), 0)
    for said in everything_said():
        numbers = contribution(said)
        for cell in furthest:
            distance = sum(map(abs, numbers.get(cell, [])))
            assert distance <= SENSITIVITY[cell], (cell, said)
            furthest[cell] = max(furthest[cell], distance)
    assert furthest == {cell: SENSITIVITY[cell] for cell in furthest}
    # Removing it from those who said anything else: the same, since contributions are added.


def test_a_bystander_turns_a_visit_s_speech_into_the_rooms() -> None:
    """What is not protected: whose a reading is depends on who else is in view. A silent person
    changes what was counted of those beside her, each by a visit's influence at most."""
    alone = frames([Person(1, 0, 9)], 10, 10)
    together = frames([Person(1, 0, 9), Person(2, 2, 6)], 10, 10)
    (one,) = heard_of(alone, [tone(4, "sad", 1)], listening())
    (two,) = heard_of(together, [tone(4, "sad")], listening())
    assert one.tone is not None
    assert two.tone is not None
    assert (shown(one.tone), shown(two.tone)) == ({"sad": 1}, {})
    assert (shown(one.heard.room_tone), shown(two.heard.room_tone)) == ({}, {"sad": 1})


def test_faces_of_one_frame_are_told_apart_by_their_tracks() -> None:
    visits = VisitBook(config().privacy)
    for n in range(30):
        visits.update(Perceived(n / 10, (face(1), face(2))), 0)
    for track, label in ((1, "sad"), (2, "happy")):
        visits.hear(tone(2.9, label, track))
    tallies = [visit.said.tone.dominant for visit in visits.finish() if visit.said]
    assert [TONES[each] for each in tallies] == ["sad", "happy"]
