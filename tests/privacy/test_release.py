"""Released summaries: valid by schema, noised once per visit, withheld below k, complete."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable
from functools import partial
from math import sqrt
from typing import Any

import jsonschema
import pytest
from hypothesis import example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from agent.base.clock import FILE_CLOCK, ClockReading
from agent.base.config import AgentConfig, MicroConfig
from agent.base.report import TENTHS, Summary, quantize, to_json
from agent.base.schemas import registry as schemas
from agent.base.settings_file import parse
from agent.base.types import NOT_ANALYSED, Perceived, Visit
from agent.base.vocabulary import Flag
from agent.privacy import releaser as releaser_module
from agent.privacy.noise import discrete_laplace
from agent.privacy.policy.rules import Policy, resolve
from agent.privacy.release import PendingRelease, ReleaseContext, release
from agent.privacy.releaser import Releaser
from agent.privacy.visits import VisitBook
from agent.privacy.window import ExactCounts, Window
from tests.privacy.people import MODEL, Person, answer, config, face, frames, noised, reasons

RATE = 0.8
"""False alarms per analysable face-minute."""
VALIDATOR = jsonschema.Draft202012Validator(schemas.load("summary-1"))


def new_releaser(settings: AgentConfig, **options: Any) -> Releaser:
    return Releaser(settings, resolve(settings), model=MODEL, **options)


def summaries(
    seen: Iterable[Perceived], settings: AgentConfig, seed: int = 0, **options: Any
) -> list[Summary]:
    options = {"false_alarms_per_minute": RATE, "rng": random.Random(seed), **options}
    releaser = new_releaser(settings, **options)
    released = [each for frame in seen for each in releaser.observe(frame)] + releaser.finish()
    assert all(each.summary.visits is None or not each.withheld_visits for each in released)
    done = [each.summary for each in released]
    for summary in done[:: max(1, len(done) // 4)]:
        VALIDATOR.validate(json.loads(to_json(summary)))
    assert [summary.seq for summary in done] == list(range(len(done)))
    return done


def test_a_window_counts_its_visits_in_every_cell() -> None:
    there = [
        Person(1, 0, 8, "happiness", 0.6, micro=("negative",)),
        Person(2, 1, 4, "surprise", 0.2),
        Person(3, 2, 9.5, "neutral", attentive=False),
    ]
    first, second = summaries(frames(there, 12.5), config())
    assert first.visits == 3
    assert first.expression is not None
    assert (first.expression.happiness, first.expression.surprise, first.expression.neutral) == (
        (1, 1, 1)
    )
    assert first.valence is not None
    assert first.valence.sum == 80
    assert first.attention is not None
    assert (first.attention.under_1, first.attention.from_1_to_5) == (1, 1)
    assert first.dwell is not None
    assert (first.dwell.under_5, first.dwell.from_5_to_15) == (1, 2)
    assert first.micro is not None
    assert (first.micro.negative, first.micro.positive) == (1, 0)
    assert (first.micro.analysable_visits, first.micro.analysable_seconds) == (3, 18)
    assert first.micro.expected_false_alarms_tenths == round(10 * RATE * 18 / 60)
    assert reasons(first) == {"tone": "no_microphone"}
    assert (first.quality.fps, first.quality.usable, first.quality.flags) == (30, 100, ())
    assert (first.window.offset, first.window.start, first.window.clock) == (0, None, "none")
    assert (first.privacy.mechanism, first.privacy.epsilon_milli) == ("none", 0)
    assert second.window.offset == 10


def test_a_window_without_visits_still_reports_quality() -> None:
    (summary,) = summaries(frames([], 10), config())
    assert summary.visits is None
    assert reasons(summary)["visits"] == "below_k"
    assert summary.quality.fps == 30


def test_thin_windows_wait_and_are_published_together() -> None:
    there = [Person(n, 10 * n + 1, 10 * n + 5, "happiness") for n in range(3)]
    one, two, three = summaries(frames(there, 30), config(k=3))
    assert (one.visits, two.visits, three.visits) == (None, None, 3)
    assert set(reasons(one).values()) == {"below_k", "no_microphone"}
    assert three.expression is not None
    assert three.expression.happiness == 3
    assert (three.window.merged, three.window.offset) == (2, 20)
    assert three.quality.flags == ("window_merged",)
    assert three.micro is not None
    assert three.micro.analysable_seconds == 12


people = st.lists(
    st.builds(
        lambda track, arrives, stays: Person(track, arrives, arrives + stays),
        track=st.integers(0, 9),
        arrives=st.floats(0, 50),
        stays=st.floats(1.5, 20),
    ),
    max_size=8,
    unique_by=lambda person: person.track,
)


@given(people, st.integers(1, 4))
@hypothesis_settings(max_examples=25)
def test_without_noise_every_visit_is_published_once_or_still_waits(
    there: list[Person], k: int
) -> None:
    done = summaries(frames(there, 80, 5), config(k=k))
    published = sum(summary.visits or 0 for summary in done)
    assert published <= len(there)
    assert len(there) - published < k
    for summary in done:
        assert summary.visits is None or summary.visits >= k


def slots(each: Perceived) -> int:
    return int(each.time // 5) % 2


def test_each_content_slot_has_its_own_summary_and_its_own_waiting() -> None:
    releaser = new_releaser(config(k=2))
    there = [Person(1, 0, 4), Person(2, 1, 4), Person(3, 6, 9), Person(4, 15.5, 19)]
    done = []
    for each in frames(there, 20):
        done += releaser.observe(each, slot=slots(each))
    done += releaser.finish()
    counts = {(r.summary.window.offset, r.summary.slot): r.summary.visits for r in done}
    assert counts == {(0, 0): 2, (0, 1): None, (10, 0): None, (10, 1): 2}
    assert [r.withheld_visits for r in done] == [0, 1, 0, 0], "for the receipt: of its own window"


def test_counts_below_k_after_noise_are_never_published() -> None:
    seen = list(frames([Person(n, n * 1.5, n * 1.5 + 4) for n in range(60)], 120, 5))
    for seed in range(20):
        for summary in summaries(seen, noised(k=5), seed):
            assert summary.visits is None or summary.visits >= 5


def test_the_noise_spent_on_a_window_is_what_the_policy_says(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Every visit takes part in one draw per number of each cell, at that cell's scale."""
    scales: list[Any] = []

    def record(scale: Any, rng: Any) -> int:
        scales.append(scale)
        return 0

    monkeypatch.setattr(releaser_module, "discrete_laplace", record)
    settings = noised(k=3)
    policy = resolve(settings)
    there = [Person(n, 1, 20) for n in range(20)]
    (summary,) = summaries(frames(there, 30), settings)
    assert summary.visits == 20
    # unit times sensitivity of each number of a cell
    numbers: dict[str, list[int]] = {
        "visits": [1],
        "passing": [1],
        "expression": [1] * 9,
        "valence": [100],
        "arousal": [100],
        "attention": [1] * 4,
        "dwell": [1] * 5,
        # two polarities, one outcome of five, and up to 120 s: L1 sensitivity 4
        "micro": [4] * 9 + [4 * 120],
    }
    expected = [number / policy.epsilon(cell) for cell in policy.cells for number in numbers[cell]]
    assert sorted(scales) == sorted(expected)
    scales.clear()
    thin = [Person(n, 60 * n + 1, 60 * n + 20) for n in range(2)]
    withheld = summaries(frames(thin, 120, 10), settings)
    assert [summary.visits for summary in withheld] == [None, None]
    assert scales == [1 / policy.epsilon("visits")] * 2, "waiting spends no more"


def releases(policy: Policy, rounds: int, **visit: Any) -> list[Summary]:
    """One window with 40 such visits, noised as often."""
    context = ReleaseContext("00000000", 0, MODEL, FILE_CLOCK, True, RATE)
    window = Window(
        0, 60, {0: ExactCounts()}, frames=100, last=50.0, seconds=50, capable_seconds=50
    )
    for _ in range(40):
        window.counts[0].add(Visit(1, 0.0, 50.0, 0, **visit), 40, bounded=True)
    draw = partial(discrete_laplace, rng=random.Random(4))
    done = []
    for _ in range(rounds):
        pending = PendingRelease()
        pending.add_window(window, 0, policy, draw)
        done.append(release(pending, window, 0, policy, context, draw))
    return done


def test_released_counts_are_unbiased() -> None:
    """Mean and variance of published counts match the noise."""
    policy = resolve(noised(k=3, epsilon=2.0))
    scale = float(1 / policy.epsilon("expression"))
    done = releases(policy, 1000, estimates=9, expression=answer("happiness").probabilities)
    values = [s.expression.happiness for s in done if s.expression is not None]
    mean = sum(values) / len(values)
    assert len(values) > 990
    assert abs(mean - 40) < 5 * scale * sqrt(2 / len(values))
    spread = sqrt(sum((value - mean) ** 2 for value in values) / len(values))
    assert spread == pytest.approx(scale * sqrt(2), rel=0.15)


def test_expected_false_alarms_depend_on_the_noised_seconds_only() -> None:
    policy = resolve(noised(k=3, epsilon=4.0))
    published = [s.micro for s in releases(policy, 400, analysable=45.0) if s.micro is not None]
    for micro in published:
        expected = round(10 * RATE * micro.analysable_seconds / 60)
        assert micro.expected_false_alarms_tenths == quantize(TENTHS, expected)
    seconds = [micro.analysable_seconds for micro in published]
    spread = float(4 * 120 / policy.epsilon("micro")) * sqrt(2)
    assert len(set(seconds)) > 100
    assert abs(sum(seconds) / len(seconds) - 40 * 45) < 5 * spread / sqrt(len(seconds))


def test_where_the_rate_is_not_known_no_false_alarms_are_expected() -> None:
    seen = frames([Person(1, 1, 8)], 10)
    (summary,) = summaries(seen, config(), false_alarms_per_minute=None)
    assert summary.micro is not None
    assert summary.micro.analysable_seconds == 7
    assert summary.micro.expected_false_alarms_tenths is None


def test_a_flood_of_noise_stays_inside_the_schema() -> None:
    policy = resolve(noised(epsilon=0.01))
    done = [each for each in releases(policy, 60, estimates=9) if each.visits is not None]
    assert done
    assert any("saturated" in summary.quality.flags for summary in done)
    for summary in done:
        VALIDATOR.validate(json.loads(to_json(summary)))


def test_micro_expressions_are_null_with_the_reason() -> None:
    people = [Person(1, 1, 8)]
    (slow,) = summaries(frames(people, 10, 15), config())
    assert slow.micro is None
    assert reasons(slow)["micro"] == "fps_too_low"
    assert slow.quality.flags == ("fps_too_low_for_micro",)
    (film,) = summaries(frames(people, 10, 24), config())  # seconds of 24 frames, a face of too few
    assert reasons(film)["micro"] == "fps_too_low"
    (small,) = summaries(frames([Person(1, 1, 8, size=20)], 10), config())
    assert reasons(small)["micro"] == "face_too_small"
    (noisy,) = summaries(frames([Person(1, 1, 8, noisy=True)], 10), config())
    assert noisy.micro is None
    assert reasons(noisy)["micro"] == "too_noisy"
    seen = list(frames([Person(1, 1, 2.5)], 10))
    for each in seen[:50]:
        for person in each.faces:
            person.micro = NOT_ANALYSED
    (brief,) = summaries(seen, config())
    assert reasons(brief)["micro"] == "no_evidence"
    off = config().model_copy(update={"micro": MicroConfig(enabled=False)})
    (disabled,) = summaries(frames(people, 10), off)
    assert reasons(disabled)["micro"] == "policy"


def test_a_classroom_publishes_counts_and_attention_only() -> None:
    settings = parse(
        {
            "device": {"place": "education"},
            "privacy": {"policy": "classroom", "notice_shown": True},
        },
        "test",
    )
    there = [Person(n, 10, 200, "anger", micro=("negative",)) for n in range(30)]
    (summary,) = summaries(frames(there, 300, 2), settings)
    assert summary.visits is not None
    assert summary.attention is not None
    forbidden = ("expression", "valence", "arousal", "micro")
    assert [getattr(summary, cell) for cell in forbidden] == [None] * 4
    assert {reasons(summary)[cell] for cell in forbidden} == {"policy"}


def test_load_is_rounded_where_noise_is_added() -> None:
    releaser = new_releaser(noised())
    for each in frames([], 60, 23):
        releaser.observe(each, dropped=each.time > 50 and round(each.time * 23) % 15 == 0)
    summary = releaser.finish()[0].summary
    assert (summary.quality.fps, summary.quality.usable) == (25, 100)
    assert summary.quality.flags == ("fps_too_low_for_micro",)


def test_where_noise_is_added_no_flag_reveals_a_crowd() -> None:
    def crowded(settings: AgentConfig) -> tuple[Flag, ...]:
        releaser = new_releaser(settings)
        for each in frames([Person(n, 1, 9) for n in range(30)], 10):
            releaser.observe(
                Perceived(each.time, each.faces, skipped=1),
                dropped=1,
                flags={"frames_dropped"},
            )
        summary = releaser.finish()[0].summary
        assert summary.visits is not None
        return summary.quality.flags

    assert {"faces_skipped", "frames_dropped"} <= set(crowded(config()))
    assert not {"faces_skipped", "frames_dropped"} & set(crowded(noised(epsilon=4.0)))


def test_a_trusted_clock_dates_the_window_and_an_untrusted_one_does_not() -> None:
    utc_offset = 1_800_000_000.4
    dated = summaries(frames([], 12.5), config(), clock=lambda: ClockReading("ntp", utc_offset))
    assert [(s.window.start, s.window.clock) for s in dated] == [
        (1_800_000_000, "ntp"),
        (1_800_000_010, "ntp"),
    ]
    undated = summaries(frames([], 5), config(), clock=lambda: ClockReading("none", None))
    assert undated[0].window.start is None


def test_timestamps_that_jump_back_are_flagged_and_lose_no_visit() -> None:
    releaser = new_releaser(config())
    done = []
    for each in frames([Person(1, 0, 8)], 9):
        jumped = 5.0 < each.time < 6.0
        time = each.time - 3 if jumped else each.time
        done += releaser.observe(Perceived(time, each.faces))
    done += releaser.finish()
    (summary,) = [released.summary for released in done]
    assert summary.visits == 1
    assert "bad_timestamps" in summary.quality.flags


@example([(0.0, set(), 0), (5e-324, set(), 0)])  # an infinite frame rate
@given(st.lists(st.tuples(st.floats(0, 120), st.sets(st.integers(0, 4)), st.integers(0, 2))))
def test_no_order_of_frames_tracks_and_slots_loses_or_doubles_a_visit(
    seen: list[tuple[float, set[int], int]],
) -> None:
    settings = config(visit_gap=1.0)
    releaser = new_releaser(settings)
    book, now, ended = VisitBook(settings.privacy), 0.0, list[Visit]()
    done = []
    for time, tracks, slot in seen:
        now = max(now, time)
        faces = tuple(face(track) for track in tracks)
        ended += book.update(Perceived(now, faces), slot)
        done += releaser.observe(Perceived(time, faces), slot=slot)
    done += releaser.finish()
    ended += book.finish()
    passed = sum(each.passing for each in ended)
    assert sum(each.summary.visits or 0 for each in done) == len(ended) - passed
    # some are withheld with their window
    assert sum(each.summary.passing or 0 for each in done) <= passed


def test_time_without_frames_gives_no_windows() -> None:
    seen = [*frames([Person(1, 0, 5)], 6), Perceived(36_000_000.0, ())]
    assert [s.window.offset for s in summaries(seen, config())] == [0, 36_000_000]


def test_the_counts_of_many_windows_do_not_grow_in_memory() -> None:
    releaser = new_releaser(noised(k=10), rng=random.Random(3))
    for number in range(2000):
        releaser.observe(Perceived(30.0 * number, ()), slot=number % 7)
    assert len(releaser._pending) <= 7
    assert len(releaser._windows._open) <= 2
