"""Unix datagram socket to which a kiosk, a chat or a survey sends what somebody wrote: one line of
UTF-8 for each utterance.

    printf 'Where is the exit?\\n' | socat - UNIX-SENDTO:/run/fleeting-perceive/words.sock

One way only: see `agent.perceive.local_socket`. The buffer is overwritten after every datagram; the
lines are strings, which Python frees but cannot overwrite: whoever reads them keeps them no longer
than it takes. Polled between frames, with a bound on work and on lines.
"""

from __future__ import annotations

import time
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path

from agent.perceive.local_socket import MAX_DATAGRAMS, LocalSocket

NAME = "words.sock"
MAX_LINE = 1000
"""Bytes, without the newline."""
MAX_DATAGRAM = 16_384
"""Bytes; a longer one is refused whole. Beyond its sender's buffer the kernel refuses it
(EMSGSIZE)."""
RATE = 20.0
"""Lines a second, of all senders together."""
BURST = 40


@dataclass(slots=True)
class Refused:
    """Lines that were not read since the start, by reason."""

    too_long: int = 0
    not_utf8: int = 0
    control: int = 0
    """With control characters other than tabs."""
    empty: int = 0
    too_many: int = 0
    """Beyond `RATE`."""

    @property
    def total(self) -> int:
        return sum(getattr(self, each.name) for each in fields(self))


class WordsSocket:
    """Receives at `path`. Raises `ConfigError` where it cannot be bound."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._socket = LocalSocket(path, "words.socket")
        self._buffer = bytearray(MAX_DATAGRAM + 1)
        self._clock = clock
        self._tokens = float(BURST)
        self._then = clock()
        self.refused = Refused()

    def poll(self) -> list[str]:
        """Lines received since the last call, oldest first, at most `BURST`. Never blocks."""
        now = self._clock()
        self._tokens = min(float(BURST), self._tokens + RATE * max(0.0, now - self._then))
        self._then = now
        found: list[str] = []
        for _ in range(MAX_DATAGRAMS):
            size = self._socket.receive(self._buffer)
            if size is None:
                break
            if size > MAX_DATAGRAM:
                self.refused.too_long += 1
            else:
                self._take(size, found)
            self._buffer[:size] = bytes(size)
        return found

    def _take(self, size: int, found: list[str]) -> None:
        """Add the lines of a datagram."""
        end = size - 1 if size and self._buffer[size - 1] == 0x0A else size
        start = 0
        while start <= end:
            stop = self._buffer.find(b"\n", start, end)
            stop = end if stop < 0 else stop
            if self._tokens < 1.0:
                self.refused.too_many += 1 + self._buffer.count(b"\n", start, end)
                return
            line = self._line(start, stop)
            if line is not None:
                self._tokens -= 1.0
                found.append(line)
            start = stop + 1

    def _line(self, start: int, stop: int) -> str | None:
        """One line, or None where it is refused."""
        refused = self.refused
        if stop > start and self._buffer[stop - 1] == 0x0D:
            stop -= 1
        if stop - start > MAX_LINE:
            refused.too_long += 1
            return None
        try:
            line = str(memoryview(self._buffer)[start:stop], "utf-8")
        except UnicodeDecodeError:
            refused.not_utf8 += 1
            return None
        line = line.replace("\t", " ").strip()
        if any(unicodedata.category(each) in ("Cc", "Cs", "Zl", "Zp") for each in line):
            refused.control += 1
            return None
        if not line:
            refused.empty += 1
            return None
        return line

    def fileno(self) -> int:
        return self._socket.fileno()

    def close(self) -> None:
        self._socket.close()
