"""Connections to the database, lent to one request at a time."""

from __future__ import annotations

import contextlib
import queue
from collections.abc import Iterator

from tools.fleet.store import Store, StoreUnavailable

IDLE = 8
"""Connections kept open while nobody needs them."""


class Pool:
    """Of one database. Any thread may borrow."""

    def __init__(self, url: str) -> None:
        """Raises `ToolError` for no URL of a database."""
        self.url = url
        self._idle: queue.LifoQueue[Store] = queue.LifoQueue(IDLE)
        self._idle.put(Store(url))

    @contextlib.contextmanager
    def store(self) -> Iterator[Store]:
        """A connection for as long as the block lasts."""
        try:
            store = self._idle.get_nowait()
        except queue.Empty:
            store = Store(self.url)
        try:
            yield store
        except StoreUnavailable:
            store.close()
            raise
        finally:
            try:
                self._idle.put_nowait(store)
            except queue.Full:
                store.close()

    def close(self) -> None:
        """Those that nobody has borrowed."""
        with contextlib.suppress(queue.Empty):
            while True:
                self._idle.get_nowait().close()
