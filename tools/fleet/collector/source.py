"""Where messages wait between the broker's connection and the writer: bounded, in order."""

from __future__ import annotations

import collections
import threading
import time
from typing import Protocol

from tools.common.errors import ToolError
from tools.fleet.collector.intake import Incoming


class Source(Protocol):
    """A broker's connection, which runs by itself and connects again when it is lost."""

    inbox: Inbox

    def start(self) -> None:
        """Begin; where the broker is away it is tried again for good."""

    def acknowledge(self, batch: list[Incoming]) -> None:
        """These are on disk. Those of a connection that is no more are left out: the broker sends
        them again, and they are known then."""

    def stop_taking(self) -> None:
        """Take no part any more; what waits here still comes. May raise `ToolError`."""

    def close(self, retire: bool = False) -> None:
        """Disconnect. `retire`: for good, the broker keeps nothing for this name."""


class Inbox:
    """Filled by the connection's thread, emptied by the writer's."""

    def __init__(self, limit: int) -> None:
        """`limit`: messages that wait. The broker is told to send no more unacknowledged ones;
        Mosquitto 2.0.11 does so nevertheless once some are acknowledged."""
        self._limit = limit
        self._closed = False
        self._waiting: collections.deque[Incoming] = collections.deque()
        self._changed = threading.Condition()
        self.connected = False
        self.error: ToolError | None = None
        """Why there is no use in going on."""
        self.received = 0
        self.dropped = 0
        """Of those that nobody acknowledges, and which found no room."""
        self.last = time.monotonic()
        """When something last arrived."""

    def put(self, incoming: Incoming) -> bool:
        """Whether it is taken. One that is to be acknowledged waits for room, which keeps its
        connection from reading more; any other is dropped where there is none."""
        with self._changed:
            self.received += 1
            self.last = time.monotonic()
            if incoming.token is None and len(self._waiting) >= self._limit:
                self.dropped += 1
                return False
            while len(self._waiting) >= self._limit and not self._closed:
                self._changed.wait()
            if self._closed:
                return False
            self._waiting.append(incoming)
            self._changed.notify_all()
        return True

    def close(self) -> None:
        """Nothing is taken any more; whoever waits for room is let go."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def take(self, most: int, patience: float, linger: float) -> list[Incoming]:
        """Up to `most`, oldest first: waits up to `patience` seconds for the first of them and
        `linger` for more. None after an error."""
        with self._changed:
            end = time.monotonic() + patience
            while not self._waiting and self.error is None:
                if not self._wait_until(end):
                    return []
            end = time.monotonic() + linger
            while len(self._waiting) < most and self._wait_until(end):
                pass
            taken = [self._waiting.popleft() for _ in range(min(most, len(self._waiting)))]
            self._changed.notify_all()
            return taken

    def clear(self) -> None:
        """Forget what waits: the broker will send it again."""
        with self._changed:
            kept = [each for each in self._waiting if each.token is None]
            self._waiting.clear()
            self._waiting.extend(kept)

    def fail(self, error: ToolError) -> None:
        with self._changed:
            self.error = self.error or error
            self._changed.notify_all()

    def wake(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def oldest(self) -> int | None:
        """Unix seconds at which the oldest of those that wait arrived."""
        with self._changed:
            return self._waiting[0].received if self._waiting else None

    def __len__(self) -> int:
        return len(self._waiting)

    def _wait_until(self, end: float) -> bool:
        left = end - time.monotonic()
        return left > 0 and self.error is None and self._changed.wait(left)
