"""The catalogue in the database."""

from __future__ import annotations

from collections.abc import Sequence

from agent.desk.read.contents import Content, ordered
from tools.fleet.store import Store

_INSERT = "INSERT INTO contents (slot, from_at, until_at, name, campaign) VALUES (?, ?, ?, ?, ?)"


def replace(store: Store, contents: Sequence[Content]) -> None:
    """Put a catalogue in the place of the one before, all of it or nothing. Raises
    `StoreUnavailable`."""
    with store.transaction():
        store.execute("DELETE FROM contents")
        store.executemany(
            _INSERT, [(each.slot, each.start, each.end, each.name, each.campaign)
                      for each in contents],
        )  # fmt: skip


def catalogue(store: Store) -> list[Content]:
    """By slot and time. Raises `StoreUnavailable`."""
    found = store.tuples("SELECT slot, from_at, until_at, name, campaign FROM contents")
    return ordered(Content(*each) for each in found)


def names(store: Store, now: int) -> dict[int, str]:
    """What each slot holds at a time, Unix seconds. Raises `StoreUnavailable`."""
    return {each.slot: each.name for each in catalogue(store) if each.start <= now < each.end}
