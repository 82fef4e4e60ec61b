"""A queue of one between threads, which replaces what waits and counts it."""

from __future__ import annotations

import threading
import time
from typing import Generic, TypeVar

T = TypeVar("T")


class Latest(Generic[T]):
    """A handoff of one: the reader always gets the newest item, or waits.

    For one or more writers and one reader. A slow reader never delays a writer: an item that still
    waits when the next one comes is replaced and counted.
    """

    dropped: int
    """Items replaced before anybody read them."""

    def __init__(self) -> None:
        self.dropped = 0
        self._items: list[T] = []
        self._closed = False
        self._changed = threading.Condition()

    def put(self, item: T) -> None:
        """Leave `item` for the reader; never blocks. After `close` it is ignored."""
        with self._changed:
            if self._closed:
                return
            if self._items:
                self._items.clear()
                self.dropped += 1
            self._items.append(item)
            self._changed.notify()

    def get(self, timeout: float) -> T | None:
        """The newest item, waiting up to `timeout` seconds for one.

        None when nothing came in time, or at once when the handoff is closed and empty.
        """
        deadline = time.monotonic() + timeout
        with self._changed:
            while not self._items:
                left = deadline - time.monotonic()
                if self._closed or left <= 0:
                    return None
                self._changed.wait(left)
            return self._items.pop()

    def close(self) -> None:
        """No more items: a waiting reader wakes up; what waits can still be read."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
