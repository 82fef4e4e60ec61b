"""What is on its way over a connection, and what became of the rest."""

from __future__ import annotations

from agent.uplink.traffic import InFlight, Sent


def sent(tag: int | None, at: float = 1.0, packet: int = 100) -> Sent:
    return Sent(tag, at, packet - 20, required=True, kind="sum", packet=packet)


def test_what_has_no_answer_is_in_flight() -> None:
    flight = InFlight()
    assert (len(flight), flight.pending) == (0, 0)
    flight.send(1, sent(7, at=5.0), answered=True)
    flight.send(2, sent(None, at=3.0, packet=300), answered=True)
    assert (len(flight), flight.oldest, flight.pending) == (2, 3.0, 300)
    answered = flight.answer(2)
    assert answered is not None
    flight.deliver(answered, 0)
    assert (len(flight), flight.oldest, flight.pending) == (1, 5.0, 100)
    assert flight.answer(2) is None, "an answer that comes twice"


def test_the_longest_is_remembered_when_all_have_an_answer() -> None:
    flight = InFlight()
    flight.send(1, sent(1, packet=200), answered=True)
    flight.answer(1)
    flight.send(2, sent(None, packet=50), answered=False)
    assert (len(flight), flight.pending) == (0, 200)


def test_each_answer_is_drained_once() -> None:
    flight = InFlight()
    for number, tag in enumerate((4, None, 6)):
        flight.send(number, sent(tag), answered=True)
    for number in range(2):
        answered = flight.answer(number)
        assert answered is not None
        flight.deliver(answered, 16)
    refused = flight.answer(2)
    assert refused is not None
    flight.settle(refused, 149)
    assert flight.drain_acknowledged() == [(4, 16), (6, 149)]
    assert flight.drain_acknowledged() == []
    assert flight.drain_untagged() == (1, 80)
    assert flight.drain_untagged() == (0, 0)


def test_what_nobody_answers_counts_at_once_and_what_was_refused_never() -> None:
    flight = InFlight()
    flight.send(1, sent(None), answered=False)
    flight.settle(sent(None), 149)
    assert flight.drain_untagged() == (1, 80)
    assert flight.drain_acknowledged() == []
