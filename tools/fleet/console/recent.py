"""Answers that may be some seconds old, so that many who look at once ask the database once."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any


class Recent:
    """Of one console. Keys are few and fixed."""

    def __init__(self, seconds: float = 5.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds, self._clock = seconds, clock
        self._lock = threading.Lock()
        self._kept: dict[str, tuple[float, Any]] = {}

    def get(self, key: str, make: Callable[[], Any]) -> Any:
        """What `make` gave lately; else what it gives now. Raises what it raises."""
        now = self._clock()
        with self._lock:
            at, value = self._kept.get(key, (None, None))
        if at is not None and now - at < self._seconds:
            return value
        value = make()
        with self._lock:
            self._kept[key] = (now, value)
        return value
