"""A queue of length one between threads that replaces an unread item."""

from __future__ import annotations

import threading
import time
from typing import Generic, TypeVar

T = TypeVar("T")


class Latest(Generic[T]):
    """Holds the newest item for one reader; `put` replaces and counts an unread one."""

    dropped: int
    """Items replaced unread."""

    def __init__(self) -> None:
        self.dropped = 0
        self._items: list[T] = []
        self._closed = False
        self._changed = threading.Condition()

    def put(self, item: T) -> None:
        """Never blocks; ignored after `close`."""
        with self._changed:
            if self._closed:
                return
            if self._items:
                self._items.clear()
                self.dropped += 1
            self._items.append(item)
            self._changed.notify()

    def get(self, timeout: float) -> T | None:
        """The newest item, waiting up to `timeout` seconds for one; None after the timeout, or at
        once when closed and empty."""
        deadline = time.monotonic() + timeout
        with self._changed:
            while not self._items:
                left = deadline - time.monotonic()
                if self._closed or left <= 0:
                    return None
                self._changed.wait(left)
            return self._items.pop()

    def close(self) -> None:
        """Accept no more items and wake a waiting reader; an unread item stays readable."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
