"""The index of the outbox's write-ahead log in shared memory (sqlite.org/walformat.html)."""

from __future__ import annotations

import struct

import numpy as np

_VERSION = 3_007_000
_PAGE = 4096
_BLOCK, _PAGES, _SLOTS = 32_768, 4062, 8192
"""Bytes of the first block, page numbers and hash slots in it; an outbox's log needs no second."""
_MAX_PAGE, _MAX_FRAMES = 512, 100_000
"""Page numbers of an outbox that is emptied again and again, and frames of its log."""
_MAX_TORN = 2
"""Hash slots that may differ in a copy taken while it is written."""


def explains(data: bytes) -> bool:
    """Whether this is the log's index in shared memory and nothing else (walformat.html, 2):
    page numbers, their hash table, and headers with the right checksum. A copy taken while it
    is written may lack one entry."""
    if not data:
        return True
    data = data.ljust(-(-len(data) // _BLOCK) * _BLOCK, b"\0")
    if len(data) > _BLOCK:
        return False
    if not all(_is_head(each) for each in (data[:48], data[48:96])):
        return False
    backfill, *marks = struct.unpack_from("=6I", data, 96)
    attempted = struct.unpack_from("=I", data, 128)[0]
    small = [each for each in (backfill, attempted, *marks) if each != 0xFFFFFFFF]
    if max(small, default=0) >= _MAX_FRAMES or any(data[120:128]) or any(data[132:136]):
        return False
    numbers = np.frombuffer(data, np.uint32, _PAGES, 136)
    table = np.frombuffer(data, np.uint16, _SLOTS, 136 + 4 * _PAGES)
    used = int(np.flatnonzero(numbers)[-1]) + 1 if numbers.any() else 0
    if not numbers[:used].all() or numbers.max(initial=0) >= _MAX_PAGE:
        return False
    honest = np.zeros_like(table)
    for place, number in enumerate(numbers[:used].tolist(), 1):
        slot = number * 383 % _SLOTS
        while honest[slot]:
            slot = (slot + 1) % _SLOTS
        honest[slot] = place
    return int((honest != table).sum()) <= _MAX_TORN


def _sums(data: bytes) -> tuple[int, int]:
    """The log's checksum (sqlite.org/fileformat2.html, section 4.2), in this machine's order."""
    one = two = 0
    numbers = struct.unpack(f"={len(data) // 4}I", data)
    for first, second in zip(numbers[::2], numbers[1::2], strict=True):
        one = (one + first + two) & 0xFFFFFFFF
        two = (two + second + one) & 0xFFFFFFFF
    return one, two


def _is_head(head: bytes) -> bool:
    """Whether it is one of the two copies of the index's header, or still empty."""
    if not any(head):
        return True
    version, unused, _, flags, size, frames, pages = struct.unpack_from("=IIIHHII", head)
    fixed = (version, unused, size) == (_VERSION, 0, _PAGE) and flags in (0x0001, 0x0101, 0x0100)
    right = struct.pack("=II", *_sums(head[:40])) == head[40:48]
    return fixed and max(frames, pages) < _MAX_FRAMES and right
