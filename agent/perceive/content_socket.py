"""Unix datagram socket to which a kiosk sends the slot of the content on show: 0 to 255 and a
newline.

    printf '17\\n' | socat - UNIX-SENDTO:/run/fleeting-perceive/content.sock

One way only: see `agent.perceive.local_socket`. A slot that is one more than the policy's number a
day is refused, which an event says; then the slot before counts on. Polled between frames.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from agent.perceive.local_socket import MAX_DATAGRAMS, LocalSocket

SLOTS = 256
NAME = "content.sock"
_MAX_DATAGRAM = 256
"""Bytes; what is longer says nothing."""


class ContentSocket:
    """Receives at `path`. Raises `ConfigError` where it cannot be bound."""

    def __init__(self, path: Path) -> None:
        self._socket = LocalSocket(path, "content.socket")
        self._buffer = bytearray(_MAX_DATAGRAM + 1)

    def poll(self, permits: Callable[[int], bool] = lambda slot: True) -> int | None:
        """The last valid slot received since the last call, or None. `permits`: whether it may be
        shown today. Never blocks."""
        newest = None
        for _ in range(MAX_DATAGRAMS):
            size = self._socket.receive(self._buffer)
            if size is None:
                break
            if size <= _MAX_DATAGRAM:
                lines = bytes(self._buffer[:size]).split(b"\n")
                slots = [slot for line in lines if (slot := _slot(line)) is not None]
                newest = slots[-1] if slots else newest
        return newest if newest is not None and permits(newest) else None

    def fileno(self) -> int:
        return self._socket.fileno()

    def close(self) -> None:
        self._socket.close()


def _slot(line: bytes) -> int | None:
    text = line.strip()
    if not text.isdigit() or len(text) > 3:
        return None
    slot = int(text)
    return slot if slot < SLOTS else None
