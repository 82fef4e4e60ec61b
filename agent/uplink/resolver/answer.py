"""What the resolver answers: a closed form of 339 bytes, whatever it found.

Byte 0: the number of the request. Byte 1: the outcome. Byte 2: how many addresses, at most 16. Then
16 entries of 21 bytes in network order: family (4 or 6), address (IPv4: its four bytes, then
zeros), IPv6 scope. Entries that are not used are zeros.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

FOUND, UNKNOWN, UNAVAILABLE, TIMED_OUT, REPLACED = range(5)
"""Outcomes: addresses; no such name; no name server answers; nothing within `QUERY_TIMEOUT`; the
system's configuration was replaced by files that the resolver cannot read."""
QUERY_TIMEOUT = 8.0
"""Seconds for one look-up."""
MAX_ADDRESSES = 16

Entry = tuple[int, bytes, int]
"""Family (4 or 6), 4 or 16 bytes, IPv6 scope."""

_ENTRY = struct.Struct("!B16sI")
LENGTH = 3 + MAX_ADDRESSES * _ENTRY.size
"""Bytes; below PIPE_BUF, so that a write to a pipe is whole (pipe(7))."""
_SIZE = {4: 4, 6: 16}


def encode(number: int, outcome: int, entries: Sequence[Entry] = ()) -> bytes:
    """One answer; entries beyond `MAX_ADDRESSES` are left out."""
    kept = entries[:MAX_ADDRESSES]
    packed = b"".join(_ENTRY.pack(*entry) for entry in kept)
    return (bytes((number, outcome, len(kept))) + packed).ljust(LENGTH, b"\0")


def decode(answer: bytes) -> tuple[int, int, list[Entry]]:
    """Number, outcome, entries. Raises `ValueError` for anything that `encode` does not make."""
    if len(answer) != LENGTH:
        raise ValueError("length")
    number, outcome, count = answer[:3]
    if outcome > REPLACED or count > MAX_ADDRESSES or (count > 0) != (outcome == FOUND):
        raise ValueError("outcome")
    entries: list[Entry] = []
    for family, padded, scope in _ENTRY.iter_unpack(answer[3 : 3 + count * _ENTRY.size]):
        if family not in _SIZE:
            raise ValueError("family")
        entries.append((family, padded[: _SIZE[family]], scope))
    if encode(number, outcome, entries) != answer:
        raise ValueError("padding")
    return number, outcome, entries
