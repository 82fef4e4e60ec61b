"""What was changed in the console, and by whom."""

from __future__ import annotations

from tools.fleet.console.accounts import Account
from tools.fleet.store import Row, Store

_LENGTH = 500
"""Characters of a line."""


def note(store: Store, account: Account, act: str, what: str, now: int) -> None:
    """Within the transaction that makes the change."""
    store.execute(
        "INSERT INTO console_acts (at, name, act, what) VALUES (?, ?, ?, ?)",
        (now, account.name, act, what[:_LENGTH]),
    )


def newest(store: Store, number: int = 200) -> list[Row]:
    return store.execute(
        "SELECT at, name, act, what FROM console_acts ORDER BY id DESC LIMIT ?", (number,)
    )
