"""The queue of length one between threads."""

from __future__ import annotations

import threading

from agent.perceive.capture.handoff import Latest


def test_reader_gets_the_newest_and_the_rest_is_counted() -> None:
    latest: Latest[int] = Latest()
    for item in range(5):
        latest.put(item)
    assert latest.get(0) == 4
    assert latest.dropped == 4
    assert latest.get(0.01) is None


def test_none_is_not_confused_with_nothing_waiting() -> None:
    latest: Latest[int | None] = Latest()
    latest.put(None)
    latest.put(None)
    assert latest.dropped == 1


def test_waiting_reader_is_woken_by_an_item() -> None:
    latest: Latest[str] = Latest()
    timer = threading.Timer(0.05, latest.put, ("frame",))
    timer.start()
    assert latest.get(60.0) == "frame"
    timer.join()


def test_close_wakes_the_reader_and_keeps_what_waits() -> None:
    latest: Latest[int] = Latest()
    timer = threading.Timer(0.05, latest.close)
    timer.start()
    assert latest.get(60.0) is None
    timer.join()
    again: Latest[int] = Latest()
    again.put(1)
    again.close()
    again.put(2)
    assert again.get(0) == 1
    assert again.get(1.0) is None


def test_every_item_is_either_read_or_counted() -> None:
    latest: Latest[int] = Latest()
    read: list[int] = []

    def reader() -> None:
        while (item := latest.get(5.0)) is not None:
            read.append(item)

    thread = threading.Thread(target=reader)
    thread.start()
    for item in range(2_000):
        latest.put(item)
    latest.close()
    thread.join(10)
    assert read == sorted(set(read))
    assert read[-1] == 1_999
    assert len(read) + latest.dropped == 2_000
