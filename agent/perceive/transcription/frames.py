"""Events of the Wyoming protocol with bounds: a line of JSON, then data and a payload by length.

The package's own reader takes any length that the server names. Protocol:
github.com/OHF-Voice/wyoming.
"""

from __future__ import annotations

import io
import json
import time
from collections.abc import Callable
from typing import Any

from wyoming.event import Event, write_event

MAX_HEADER = 8192
"""Bytes of the line, newline included."""
MAX_BODY = 65_536
"""Bytes of data, and of a payload."""


class FrameError(Exception):
    """What a server sent is not read: `name` is one of `messages.REASONS`."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


def frame(event: Event) -> bytes:
    """An event as the package writes it."""
    file = io.BytesIO()
    write_event(event, file)
    return file.getvalue()


class FrameReader:
    """Reads events from a connection."""

    def __init__(self, receive: Callable[[float], bytes]) -> None:
        """`receive`: some bytes within so many seconds, none at the end; raises `OSError`."""
        self._receive = receive
        self._waiting = bytearray()

    def read(self, deadline: float) -> Event:
        """The next event, before a moment of the monotonic clock. Raises `FrameError`."""
        while (end := self._waiting.find(b"\n")) < 0:
            if len(self._waiting) > MAX_HEADER:
                raise FrameError("too_long")
            self._more(deadline)
        if end >= MAX_HEADER:
            raise FrameError("too_long")
        header = _object(self._take(end + 1))
        kind, data = header.get("type"), header.get("data", {})
        if not isinstance(kind, str) or not isinstance(data, dict):
            raise FrameError("malformed")
        lengths = [_length(header.get(name)) for name in ("data_length", "payload_length")]
        while len(self._waiting) < sum(lengths):
            self._more(deadline)
        if lengths[0]:
            data = {**data, **_object(self._take(lengths[0]))}
        return Event(kind, data, self._take(lengths[1]) or None)

    def _take(self, size: int) -> bytes:
        taken = bytes(self._waiting[:size])
        del self._waiting[:size]
        return taken

    def _more(self, deadline: float) -> None:
        left = deadline - time.monotonic()
        if left <= 0:
            raise FrameError("no_answer")
        try:
            given = self._receive(left)
        except TimeoutError:
            raise FrameError("no_answer") from None
        except OSError:
            given = b""
        if not given:
            raise FrameError("closed")
        self._waiting += given


def _object(text: bytes) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        raise FrameError("malformed") from None
    if not isinstance(found, dict):
        raise FrameError("malformed")
    return found


def _length(value: Any) -> int:
    if value is None:
        return 0
    if type(value) is not int or value < 0:
        raise FrameError("malformed")
    if value > MAX_BODY:
        raise FrameError("too_long")
    return value
