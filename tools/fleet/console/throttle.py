"""How often somebody may try a password: after some failures each further one takes twice as long.

Counted by name and address together, and more patiently by address and by name alone, so that one
address cannot try many names, many addresses cannot try one name, and a stranger cannot keep a user
out for long. Kept in memory: a restart forgets.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable

_FREE = {"both": 5, "address": 20, "name": 100}
"""Failures that cost nothing."""
_LONGEST = 900.0
"""Seconds: the longest pause; without failures for as long, they are forgotten."""
_MOST = 20_000
"""Counters kept."""


class Throttle:
    """Of one console."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._failed: OrderedDict[tuple[str, str], tuple[int, float]] = OrderedDict()
        """How many failures, and when the last one was."""

    def wait(self, name: str, address: str) -> float:
        """Seconds until a password may be tried; 0: now."""
        now = self._clock()
        with self._lock:
            return max(0.0, *(self._until(kind, key) - now for kind, key in _keys(name, address)))

    def begun(self, name: str, address: str) -> None:
        """Counts as a failure until it has succeeded: others may try meanwhile."""
        now = self._clock()
        with self._lock:
            for key in _keys(name, address):
                number, last = self._failed.pop(key, (0, now))
                self._failed[key] = (number + 1 if now - last < _LONGEST else 1, now)
            while len(self._failed) > _MOST:
                self._failed.popitem(last=False)

    def succeeded(self, name: str, address: str) -> None:
        """What this user got wrong from here is forgotten."""
        both, *others = _keys(name, address)
        with self._lock:
            self._failed.pop(both, None)
            for key in others:
                if key in self._failed:
                    number, last = self._failed[key]
                    self._failed[key] = (number - 1, last)

    def _until(self, kind: str, key: str) -> float:
        number, last = self._failed.get((kind, key), (0, 0.0))
        beyond = number - _FREE[kind]
        return last + min(_LONGEST, 2.0 ** min(beyond, 20)) if beyond >= 0 else 0.0


def _keys(name: str, address: str) -> list[tuple[str, str]]:
    return [("both", f"{name[:64]}\n{address}"), ("address", address), ("name", name[:64])]
