"""Aggregation of faces into visits."""

from __future__ import annotations

import numpy as np
import pytest

from agent.base.config import PrivacyConfig
from agent.base.types import NOT_ANALYSED, MicroExpression, MicroStatus, Perceived, Visit
from agent.privacy.visits import VisitBook
from tests.privacy.people import Person, answer, face, frames

PARAMS = PrivacyConfig(visit_gap=2.0)


def run(people: list[Person], end: float, slot: int = 0) -> list[Visit]:
    book = VisitBook(PARAMS)
    ended = [visit for each in frames(people, end) for visit in book.update(each, slot)]
    return ended + book.finish()


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
    assert visit.attention < 4.6
    assert visit.analysable == pytest.approx(4.5, abs=0.1)
    assert visit.last - visit.first > 5.4


def test_a_glimpse_is_not_a_visit() -> None:
    assert run([Person(1, 1.0, 1.3)], 10.0) == []
    book = VisitBook(PARAMS)  # two sights a second apart: flicker of a false detection
    for time in (0.0, 1.0):
        book.update(Perceived(time, (face(1),)), 0)
    assert book.finish() == []


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
    for number in range(30):
        shown = answer("anger", unsure=True)
        book.update(Perceived(number / 30, (face(1, expression=shown),)), 0)
    (visit,) = book.finish()
    assert (visit.estimates, visit.unsure) == (30, 30)
    assert not visit.expression.any()


def test_a_micro_expression_that_is_decided_after_the_last_sight_belongs_to_the_visit() -> None:
    book = VisitBook(PARAMS)
    for number in range(30):
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
