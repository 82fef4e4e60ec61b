"""One controller at a time, in both databases."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tools.fleet.controller.lease import Lease, LeaseLostError, holder
from tools.fleet.store import Store, open_store


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def stores(store_url: str) -> Iterator[tuple[Store, Store]]:
    with open_store(store_url) as one, open_store(store_url) as other:
        yield one, other


def test_the_second_waits_and_takes_over_when_the_first_is_silent(
    stores: tuple[Store, Store],
) -> None:
    clock = Clock()
    first, second = (Lease(store, 10, clock=clock) for store in stores)
    assert first.acquire()
    for _ in range(5):
        assert not second.acquire()
        first.prove()
        clock.now += 9
    assert not second.acquire()
    clock.now += 10
    assert second.acquire()
    assert holder(stores[0])


def test_one_that_was_overtaken_changes_nothing_any_more(stores: tuple[Store, Store]) -> None:
    clock = Clock()
    first, second = (Lease(store, 10, clock=clock) for store in stores)
    assert first.acquire()
    assert not second.acquire()
    clock.now += 10
    assert second.acquire()

    def work() -> None:
        with stores[0].transaction():
            stores[0].execute("INSERT INTO groups VALUES ('x', 'all')")
            first.prove()

    with pytest.raises(LeaseLostError, match="taken over"):
        work()
    assert not stores[1].execute("SELECT * FROM groups")
    assert not first.held
    second.prove()
    assert not first.acquire(), "it begins to watch anew"


def test_of_two_that_take_over_at_once_one_does(stores: tuple[Store, Store]) -> None:
    clock = Clock()
    gone = Lease(stores[0], 10, clock=clock)
    assert gone.acquire()
    one, other = (Lease(store, 10, clock=clock) for store in stores)
    assert not one.acquire()
    assert not other.acquire()
    clock.now += 11
    assert [one.acquire(), other.acquire()] == [True, False]


def test_one_that_slept_has_to_prove_it_again(stores: tuple[Store, Store]) -> None:
    clock = Clock()
    lease = Lease(stores[0], 10, clock=clock)
    assert not lease.fresh
    assert lease.acquire()
    assert lease.fresh
    clock.now += 5
    assert not lease.fresh
    lease.prove()
    assert lease.fresh
    lease.release()
    assert not lease.fresh


def test_given_back_it_is_free_at_once(stores: tuple[Store, Store]) -> None:
    first, second = (Lease(store, 10) for store in stores)
    assert first.acquire()
    assert not second.acquire()
    first.release()
    assert second.acquire()
    assert second.token == 2
