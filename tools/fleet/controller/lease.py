"""One controller at a time: a row in the database, with a fencing token.

The holder raises `beat`; whoever waits watches it by its own monotonic clock and takes over when it
has stood still for long enough, so that no two machines' clocks are compared (as Kubernetes' leader
election does). Each transaction of the holder first proves its token (Kleppmann, "How to do
distributed locking", 2016): one that was paused and overtaken changes nothing.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable

from tools.common.errors import ToolError
from tools.fleet.store import Store

NAME = "controller"


class LeaseLostError(ToolError):
    """Another controller has taken over."""


class Lease:
    """Of one process. `expiry`: seconds without a beat after which a holder counts as dead."""

    def __init__(
        self,
        store: Store,
        expiry: float = 10.0,
        name: str = NAME,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store, self.expiry, self._name, self._clock = store, expiry, name, clock
        self._holder = f"{socket.gethostname()}:{os.getpid()}"
        self._seen: tuple[int, int] | None = None
        """Token and beat of the other holder, when last looked at."""
        self._seen_at = 0.0
        self._proven_at = 0.0
        self.token: int | None = None
        """Null: not held."""

    @property
    def held(self) -> bool:
        return self.token is not None

    @property
    def fresh(self) -> bool:
        """Whether it was proven so lately that nobody can have taken over since. What cannot be
        fenced by the database, publishing, needs this: a process may have been stopped for long."""
        return self.held and self._clock() - self._proven_at < self.expiry / 2

    def acquire(self) -> bool:
        """Whether it is held now. Call again and again. Raises `StoreUnavailable`."""
        if self.token is not None:
            return True
        asked_at = self._clock()
        row = self._store.execute(
            "SELECT holder, token, beat FROM lease WHERE name = ?", (self._name,)
        )[0]
        seen = (row["token"], row["beat"])
        if row["holder"]:
            if seen != self._seen:
                self._seen, self._seen_at = seen, self._clock()
                return False
            if self._clock() - self._seen_at < self.expiry:
                return False
        taken = self._store.execute(
            "UPDATE lease SET holder = ?, token = token + 1, beat = beat + 1"
            " WHERE name = ? AND token = ? AND beat = ? RETURNING token",
            (self._holder, self._name, *seen),
        )
        if taken:
            self.token, self._proven_at = taken[0]["token"], asked_at
        return self.held

    def prove(self) -> None:
        """First in each transaction: locks the row. Raises `LeaseLostError`, `StoreUnavailable`."""
        asked_at = self._clock()
        if self.token is not None and self._store.execute(
            "UPDATE lease SET beat = beat + 1 WHERE name = ? AND token = ? RETURNING beat",
            (self._name, self.token),
        ):
            self._proven_at = asked_at
            return
        self.token = self._seen = None
        raise LeaseLostError(
            "Another controller has taken over; this one stands by until that one is gone."
        )

    def release(self) -> None:
        """Let another one begin at once."""
        if self.token is not None:
            self._store.execute(
                "UPDATE lease SET holder = '' WHERE name = ? AND token = ?",
                (self._name, self.token),
            )
            self.token = None


def holder(store: Store, name: str = NAME) -> str:
    """Who acts, for a person; empty: nobody has said so."""
    rows = store.execute("SELECT holder FROM lease WHERE name = ?", (name,))
    return rows[0]["holder"] if rows else ""
