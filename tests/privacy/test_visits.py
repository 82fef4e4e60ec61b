"""Aggregation of faces into visits."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.base.config import MicroConfig, PrivacyConfig
from agent.base.types import NOT_ANALYSED, MicroExpression, MicroStatus, Perceived, Visit
from agent.privacy.visits import VisitBook
from agent.privacy.window import Windows
from tests.privacy.people import Person, answer, config, face, frames

PARAMS = PrivacyConfig(visit_gap=2.0)


PICTURE = (1280, 720)
SIZE = 50.0
"""Half of a face's side, pixels: faces are 100 pixels high."""
Path = Callable[[float], tuple[float, float]]


def run(people: list[Person], end: float, slot: int = 0, gap: float = 2.0) -> list[Visit]:
    book = VisitBook(PrivacyConfig(visit_gap=gap))
    seen = frames(people, end, picture=PICTURE)
    ended = [visit for each in seen for visit in book.update(each, slot)]
    return ended + book.finish()


def at(x: float, y: float = 300.0) -> Path:
    return lambda _: (x, y)


def line(start: float, end: float, x0: float, x1: float) -> Path:
    """From x0 to x1 between two moments, still before and after."""
    return lambda t: (x0 + (x1 - x0) * min(max((t - start) / (end - start), 0.0), 1.0), 300.0)


def somebody(track: int, arrives: float, leaves: float, path: Path) -> Person:
    return Person(track, arrives, leaves, size=SIZE, path=path)


def test_a_visit_lasts_from_first_to_last_sight() -> None:
    (visit,) = run([Person(7, 1.0, 4.0, attentive=True)], 10.0)
    assert visit.first == pytest.approx(1.0)
    assert visit.last == pytest.approx(4.0, abs=0.04)
    assert visit.attention == pytest.approx(3.0, abs=0.05)


def test_a_short_disappearance_continues_the_visit_and_a_long_one_ends_it() -> None:
    assert len(run([Person(1, 0, 2), Person(1, 3.5, 5)], 10.0)) == 1
    assert len(run([Person(1, 0, 2), Person(1, 4.5, 6)], 10.0)) == 2


def test_time_out_of_sight_is_neither_attention_nor_analysable() -> None:
    (visit,) = run([Person(1, 0, 2), Person(1, 3.5, 5.5)], 10.0)
    assert visit.attention == pytest.approx(4.0, abs=0.1)
    assert visit.analysable == pytest.approx(4.0, abs=0.1)
    assert visit.last - visit.first > 5.4


def test_a_glimpse_is_not_a_visit() -> None:
    (glimpse,) = run([Person(1, 1.0, 1.9)], 10.0)
    assert glimpse.passing
    (visit,) = run([Person(1, 1.0, 2.1)], 10.0)
    assert not visit.passing


@pytest.mark.parametrize(("seconds", "passes"), [(0.04, 0), (0.15, 0), (0.25, 1), (0.9, 1)])
def test_a_flicker_is_nobody(seconds: float, passes: int) -> None:
    found = run([Person(1, 1.0, 1.0 + seconds)], 10.0)
    assert [each.passing for each in found] == [True] * passes


def test_two_sights_in_slow_pictures_are_somebody_who_passed_and_one_is_nobody() -> None:
    for times, passes in (((0.0,), 0), ((0.0, 1.0), 1)):
        book = VisitBook(PARAMS)
        for time in times:
            book.update(Perceived(time, (face(1),)), 0)
        assert [each.passing for each in book.finish()] == [True] * passes


def test_fragments_of_a_stay_are_one_whether_it_is_a_visit_or_passes_by() -> None:
    """A face that is lost and found in place by other tracks, half a second at a time."""
    pieces = [somebody(n, 1.5 * n, 1.5 * n + 0.5, at(400.0)) for n in range(5)]
    (visit,) = run(pieces, 20.0, gap=2.0)
    assert not visit.passing, "together more than a second in view"
    (one,) = run(pieces[:1], 20.0, gap=2.0)
    assert one.passing
    apart = [somebody(n, 10.0 * n, 10.0 * n + 0.5, at(400.0)) for n in range(5)]
    assert [each.passing for each in run(apart, 60.0, gap=2.0)] == [True] * 5


def test_a_face_found_on_another_one_does_not_pass_by() -> None:
    """A print on a shirt, the same face found twice."""
    there = [somebody(1, 0, 6, at(400.0)), somebody(2, 2, 2.6, at(420.0))]
    assert [each.passing for each in run(there, 10.0)] == [False]


def test_every_stay_is_a_visit_or_passes_by_and_never_both() -> None:
    people = [Person(n, 2.0 * n, 2.0 * n + (0.5 if n % 3 else 3.0)) for n in range(30)]
    found = run(people, 70.0)
    assert len(found) == 30
    assert sum(each.passing for each in found) == 20


def test_looking_away_is_not_attention() -> None:
    (visit,) = run([Person(1, 0, 3, attentive=False)], 6.0)
    assert visit.attention == 0


def test_an_answer_counts_once_however_long_it_is_shown() -> None:
    book = VisitBook(PARAMS)
    shown = answer("happiness", valence=0.5)
    for number in range(60):
        book.update(Perceived(number / 30, (face(1, expression=shown, is_new=number % 5 == 0),)), 0)
    (visit,) = book.finish()
    assert visit.estimates == 12
    assert visit.valence == pytest.approx(6.0)
    assert int(np.argmax(visit.expression)) == 1


def test_unsure_answers_name_no_class() -> None:
    book = VisitBook(PARAMS)
    for number in range(40):
        shown = answer("anger", unsure=True)
        book.update(Perceived(number / 30, (face(1, expression=shown),)), 0)
    (visit,) = book.finish()
    assert (visit.estimates, visit.unsure) == (40, 40)
    assert not visit.expression.any()


def test_a_micro_expression_that_is_decided_after_the_last_sight_belongs_to_the_visit() -> None:
    book = VisitBook(PARAMS)
    for number in range(40):
        book.update(Perceived(number / 30, (face(1),)), 0)
    late = MicroExpression(1, 0.8, 0.85, 0.9, 0.02, "positive")
    book.update(Perceived(1.5, (), (late,)), 0)
    unknown = MicroExpression(99, 0.8, 0.85, 0.9, 0.02, "negative")
    book.update(Perceived(1.6, (), (unknown,)), 0)
    (visit,) = book.finish()
    assert visit.micro == {"positive"}


def test_a_visit_belongs_to_the_content_that_was_on_for_most_of_it() -> None:
    book = VisitBook(PARAMS)
    for number in range(300):
        book.update(Perceived(number / 30, (face(1),)), slot=5 if number < 200 else 6)
    (visit,) = book.finish()
    assert visit.slot == 5


def test_time_counts_as_analysable_or_refused_by_this_faces_status() -> None:
    book = VisitBook(PARAMS)
    refused, analysed = MicroStatus(False, "no_evidence", 0.0), MicroStatus(True, None, 0.0)
    for number in range(301):
        time = number / 30
        micro = refused if time < 4 else NOT_ANALYSED if time < 7 else analysed
        book.update(Perceived(time, (face(1, micro=micro), face(2, micro=analysed))), 0)
    visit, _ = book.finish()
    assert visit.analysable == pytest.approx(3.0, abs=0.05)
    assert visit.refused == {"no_evidence": pytest.approx(4.0, abs=0.05)}


def test_memory_does_not_grow_with_time() -> None:
    book = VisitBook(PARAMS)
    for number in range(3000):
        book.update(Perceived(number / 10, (face(number // 20),)), 0)
        assert len(book) <= 3


def test_a_face_lost_and_found_in_place_by_another_track_is_one_visit() -> None:
    there = [somebody(n, 9.0 * n, 9.0 * n + 6, at(600 + 10 * n)) for n in range(8)]
    (visit,) = run(there, 80, gap=10)
    assert visit.first == 0.0
    assert visit.last == pytest.approx(69, abs=0.1)
    assert visit.attention == pytest.approx(8 * 6, abs=0.5)
    assert visit.estimates == 8 * 180
    assert len(run(there, 80, gap=2)) == 8, "out of sight for longer than visit_gap"


@pytest.mark.parametrize(
    ("place", "size", "visits"),
    [(600, 50, 1), (740, 50, 1), (900, 50, 2), (600, 80, 1), (600, 120, 2), (600, 20, 2)],
)
def test_a_face_goes_on_with_a_visit_near_by_and_of_like_size(
    place: float, size: float, visits: int
) -> None:
    found = Person(2, 8, 14, size=size, path=at(place))
    assert len(run([somebody(1, 0, 5, at(600)), found], 20, gap=10)) == visits


def test_who_left_over_the_edge_is_not_gone_on_with() -> None:
    leaver = somebody(1, 0, 6, line(4, 6, 700, 1270))
    other = somebody(2, 8, 14, at(1200))
    assert len(run([leaver, other], 20, gap=10)) == 2


def test_who_came_from_the_edge_does_not_go_on_with_a_visit() -> None:
    lost = somebody(1, 0, 5, at(150))
    comer = somebody(2, 8, 14, line(8, 10, 20, 200))
    assert len(run([lost, comer], 20, gap=10)) == 2
    turned_round = somebody(2, 8, 14, at(150))
    assert len(run([lost, turned_round], 20, gap=10)) == 1, "though near the edge"


def test_of_a_queue_each_is_a_visit() -> None:
    """Each leaves to the side, the next steps to the same spot four seconds later."""

    def path(start: float) -> Path:
        def place(t: float) -> tuple[float, float]:
            x = 640 - 400 * max(start - t, 0.0) + 400 * max(t - start - 8, 0.0)
            return x, 300.0

        return place

    queue = [somebody(n, 12.0 * n, 12.0 * n + 11, path(12.0 * n + 1.5)) for n in range(4)]
    assert len(run(queue, 60, gap=15)) == 4
    vanish = [somebody(n, 12.0 * n, 12.0 * n + 8, at(640)) for n in range(4)]
    assert len(run(vanish, 60, gap=15)) == 1, "geometry cannot tell them apart"


def test_an_edge_that_a_tracker_resumes_at_parts_two_people() -> None:
    """The one leaves, the other comes in there, and the tracker gives both one id."""
    out, back = line(3, 5, 700, 1275), line(5.3, 7, 1275, 700)
    there = [somebody(1, 0, 5, out), somebody(1, 5.3, 9, back)]
    assert len(run(there, 12, gap=10)) == 2


def test_two_who_cross_are_two_visits_whoever_is_lost() -> None:
    there = [
        somebody(1, 0, 12, line(4, 8, 300, 900)),
        somebody(2, 0, 5.8, line(4, 8, 900, 300)),
        somebody(3, 6.6, 12, line(4, 8, 900, 300)),
    ]
    visits = run(there, 15, gap=10)
    assert len(visits) == 2
    assert {round(visit.first) for visit in visits} == {0}


def test_each_track_goes_on_with_one_visit_the_nearest() -> None:
    lost = [somebody(1, 0, 5, at(500)), somebody(2, 0, 5, at(620))]
    found = [
        somebody(3, 7, 12, at(600)),
        somebody(4, 7.5, 12, at(520)),
        somebody(5, 8, 12, at(730)),
    ]
    visits = run([*lost, *found], 15, gap=10)
    assert sorted(round(visit.first) for visit in visits) == [0, 0, 8]


def test_a_track_on_an_older_face_is_no_visit() -> None:
    person = somebody(1, 0, 20, at(600))
    ghosts = [somebody(n, 2.0 * n, 2.0 * n + 1.3, at(640)) for n in range(2, 7)]
    lasting = somebody(9, 3, 18, at(640, 330))
    assert len(run([person, *ghosts, lasting], 25, gap=2)) == 1
    neighbour = somebody(9, 3, 18, at(680))
    assert len(run([person, neighbour], 25)) == 2
    emerging = somebody(9, 3, 18, line(5, 7, 640, 800))
    assert len(run([person, emerging], 25)) == 2, "behind another at first"


def test_a_recording_that_is_cut_goes_on_with_its_visit() -> None:
    """A clip that begins again: the face jumps, and is found by the next detection."""
    loop = [
        somebody(n, 5.0 * n + 0.1, 5.0 * n + 5, line(5.0 * n, 5.0 * n + 5, 600, 900))
        for n in range(9)
    ]
    assert len(run(loop, 50, gap=10)) == 1
    onlooker = somebody(99, 0, 45, at(200))
    assert len(run([onlooker, *loop], 50, gap=10)) == 10, "people do not jump"


def test_a_flicker_in_one_place_is_at_most_one_visit() -> None:
    poster = [somebody(n, 3.0 * n, 3.0 * n + 0.4, at(900)) for n in range(20)]
    assert len(run(poster, 70, gap=10)) <= 1


def test_at_a_few_frames_per_second_a_stay_is_one_visit() -> None:
    book = VisitBook(PrivacyConfig(visit_gap=10))
    visits: list[Visit] = []
    for each in frames([Person(1, 0, 40)], 60, 1):
        visits += book.update(each, 0)
    assert len(visits + book.finish()) == 1


tracks = st.lists(
    st.builds(
        lambda track, arrives, stays, x, speed: somebody(
            track, arrives, arrives + stays, lambda t: (x + speed * (t - arrives), 300.0)
        ),
        track=st.integers(0, 4),
        arrives=st.floats(0, 50),
        stays=st.floats(0.1, 20),
        x=st.floats(0, 1280),
        speed=st.sampled_from((0.0, 0.0, 60.0, -200.0)),
    ),
    max_size=10,
)


@given(tracks, st.sampled_from((1.0, 5.0, 15.0)))
@settings(max_examples=60)
def test_however_tracks_go_on_with_one_another_a_visit_ends_before_its_window(
    there: list[Person], gap: float
) -> None:
    book, windows = VisitBook(config(visit_gap=gap).privacy), Windows(10, gap, MicroConfig(), True)
    counted = visits = 0
    for each in frames(there, 80, 5, PICTURE):
        distinct = {face.track_id: face for face in each.faces}
        ended = book.update(Perceived(each.time, tuple(distinct.values()), size=PICTURE), 0)
        windows.add_frame(each, 0, 0, ())
        windows.add_visits(ended)  # would raise where the window has closed
        visits += len(ended)
        counted += sum(w.counts[0].cells["visits"][0] for w in windows.due(each.time))
        assert all(each.time - visit.last <= gap + 0.5 for visit in ended)
    ended = book.finish()
    windows.add_visits(ended)
    counted += sum(w.counts[0].cells["visits"][0] for w in windows.finish())
    assert counted <= visits + len(ended) <= len(there)
    assert len(book) == 0


def test_a_visit_has_a_place_where_it_stayed_and_none_where_it_moved_on() -> None:
    (still,) = run([somebody(1, 0, 5, lambda t: (600 + 20 * math.sin(t), 300.0))], 6)
    (near,) = run([somebody(1, 0, 5, at(605, 310))], 6)
    (other,) = run([somebody(1, 0, 5, at(900))], 6)
    (moving,) = run([somebody(1, 0, 5, line(0, 5, 300, 500))], 6)
    assert still.place == near.place != other.place
    assert moving.place is None
