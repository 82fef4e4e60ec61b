"""Store of everything written, each content once, so that a long run needs little space.

The outbox and its write-ahead log (sqlite.org/fileformat2.html, section 4) are kept as pages. Page
numbers, salts and checksums of the log are verified instead of searched, since random bytes
resemble everything.
"""

from __future__ import annotations

import hashlib
import struct
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from agent.desk.audit import _log_index
from agent.desk.audit._artifacts import Artifact, Finding, Kind

PAGE = 4096
"""Bytes per page of the outbox, SQLite's default."""
_HEADER, _FRAME = 32, 24
_MAGIC = 0x377F0682 | (sys.byteorder == "big")
_MAX_PAGES = 1 << 18
"""Of the outbox; a page number beyond carries something else."""
_BLOCK = 512
"""Bytes of the shared index that are compared at once."""
_MAX_BYTES = 400_000_000
"""Bytes kept in all."""
_MAX_ONE = 64_000_000
"""Bytes kept of other writes to one file."""

Words = npt.NDArray[np.uint32]
Sums = tuple[int, int]


class WrittenStore:
    """Thread-safe. Names are those of the report: `outbox/outbox.db-wal`."""

    def __init__(self) -> None:
        self.lost: set[str] = set()
        """What was too large to be kept."""
        self._lock = threading.Lock()
        self._seen: set[bytes] = set()
        self._parts: dict[tuple[str, Kind], list[bytes]] = {}
        self._sizes: dict[tuple[str, Kind], int] = {}
        self._size = 0
        self._log = WalCheck()
        self._index: tuple[str, bytes] | None = None
        """The last copy of the shared index that is nothing else."""

    def write(self, process: str, name: str, data: bytes, offset: int | None) -> None:
        """One write of a process; `offset` in the file, None where it is not known."""
        where = f"{process} wrote to {name}"
        with self._lock:
            if name.endswith("outbox.db-wal") and offset is not None:
                self._wal(process, where, data, offset)
            elif name.endswith("outbox.db") and offset is not None and _whole(data, offset):
                self._pages(where, "database", data)
            elif name.endswith("outbox.db-shm") and not any(data):
                return  # made longer by zeros
            else:
                self._add(where, "other", data)

    def copy(self, name: str, data: bytes) -> None:
        """The content of a file at some time."""
        with self._lock:
            if name.endswith("outbox.db"):
                self._pages(f"{name} (copies)", "database", data)
            elif name.endswith("outbox.db-wal"):
                for at in range(_HEADER, len(data) - _FRAME - PAGE + 1, _FRAME + PAGE):
                    page = data[at + _FRAME : at + _FRAME + PAGE]
                    self._pages(f"{name} (copies)", "journal", page)
            elif name.endswith("outbox.db-shm") and _log_index.explains(data):
                self._index = f"{name} (copies)", data
            elif name.endswith("outbox.db-shm"):
                fresh = [
                    data[at : at + _BLOCK]
                    for at in range(0, len(data), _BLOCK)
                    if self._is_new(data[at : at + _BLOCK]) and any(data[at : at + _BLOCK])
                ]
                self._add(f"{name} (copies)", "index", b"".join(fresh))
            elif name.endswith("outbox.db-journal") and self._is_new(data):
                self._add(f"{name} (copy {len(self._seen)})", "journal", data)
            elif self._is_new(data):
                self._add(f"{name} (copies)", "other", data)

    def artifacts(self) -> list[Artifact]:
        """Everything kept, by origin."""
        with self._lock:
            kept = [
                Artifact(name, kind, b"".join(parts))
                for (name, kind), parts in sorted(self._parts.items())
            ]
            if self._index is not None:
                name, data = self._index
                kept.append(Artifact(name, "index", data))
            return kept

    def findings(self) -> list[Finding]:
        """Bytes of the write-ahead log that are neither pages nor what belongs to them."""
        with self._lock:
            return [
                Finding("residue", "outbox/outbox.db-wal", at, what)
                for at, what in self._log.problems()
            ]

    def _wal(self, process: str, where: str, data: bytes, offset: int) -> None:
        at = (offset - _HEADER) % (_FRAME + PAGE)
        if offset == 0 and len(data) == _HEADER:
            self._log.header(data)
        elif at == 0 and len(data) == _FRAME:
            self._log.frame(process, offset, data)
        elif at == _FRAME and len(data) == PAGE:
            self._log.page(process, offset - _FRAME, data)
            self._pages(where, "journal", data)
        else:
            self._add(where, "other", data)

    def _pages(self, where: str, kind: Kind, data: bytes) -> None:
        """Whole pages, each kept once; bytes after the last one are kept as such."""
        end = len(data) // PAGE * PAGE
        for at in range(0, end, PAGE):
            if self._is_new(data[at : at + PAGE]):
                self._add(where, kind, data[at : at + PAGE])
        self._add(where, "other", data[end:])

    def _add(self, where: str, kind: Kind, data: bytes) -> None:
        if not data:
            return
        key = where, kind
        size = self._sizes.get(key, 0) + len(data)
        paged = kind in ("database", "journal")
        if self._size + len(data) > _MAX_BYTES or (size > _MAX_ONE and not paged):
            self.lost.add(where)
            return
        self._size += len(data)
        self._sizes[key] = size
        self._parts.setdefault(key, []).append(data)

    def _is_new(self, data: bytes) -> bool:
        mark = hashlib.blake2b(data, digest_size=16).digest()
        known = mark in self._seen
        self._seen.add(mark)
        return not known


def _whole(data: bytes, offset: int) -> bool:
    return offset % PAGE == 0 and len(data) % PAGE == 0


@dataclass(frozen=True, slots=True)
class _WalFrame:
    offset: int
    header: bytes
    sums: Sums
    """Checksum of header and page, had the one before it been zero."""


class WalCheck:
    """Verifies headers, salts and checksums of the write-ahead log. Both processes append to it;
    the order between them need not be known."""

    def __init__(self) -> None:
        self._headers: list[bytes] = []
        self._waiting: dict[tuple[str, int], bytes] = {}
        self._frames: list[_WalFrame] = []
        self._wrong: list[tuple[int, str]] = []

    def header(self, data: bytes) -> None:
        """The first 32 bytes of the file."""
        self._headers.append(data)
        magic, version, size = struct.unpack_from(">III", data)
        if magic != _MAGIC or version != 3_007_000 or size != PAGE:
            self._wrong.append((0, "a header of the journal that is none"))
        elif _advance((0, 0), _sums(_words(data[:24])), 3) != _stated(data):
            self._wrong.append((0, "a header of the journal with a wrong checksum"))

    def frame(self, process: str, offset: int, data: bytes) -> None:
        """The 24 bytes before a page."""
        if (process, offset) in self._waiting:
            self._wrong.append((offset, "a journal's frame without its page"))
        self._waiting[process, offset] = data

    def page(self, process: str, offset: int, data: bytes) -> None:
        """The page that follows `frame`."""
        header = self._waiting.pop((process, offset), None)
        if header is None:
            self._wrong.append((offset, "a page of the journal without its frame"))
            return
        number, length = struct.unpack_from(">II", header)
        if not 0 < number <= _MAX_PAGES or length > _MAX_PAGES:
            self._wrong.append((offset, f"page {number} of {length} in the journal"))
        self._frames.append(_WalFrame(offset, header, _sums(_words(header[:8] + data))))

    def problems(self) -> Iterator[tuple[int, str]]:
        """(offset, what) of everything that does not verify."""
        yield from self._wrong
        for _, offset in self._waiting:
            yield offset, "a journal's frame without its page"
        salts = {each[16:24] for each in self._headers}
        ends: dict[int, set[Sums]] = {_HEADER: {_stated(each) for each in self._headers}}
        for each in self._frames:
            ends.setdefault(each.offset + _FRAME + PAGE, set()).add(_stated(each.header))
        for each in self._frames:
            before = ends.get(each.offset, set())
            pairs = 1 + PAGE // 8
            if each.header[8:16] not in salts:
                yield each.offset, f"salts of no journal: {each.header[8:16].hex()}"
            elif _stated(each.header) not in {_advance(one, each.sums, pairs) for one in before}:
                yield each.offset, f"a wrong checksum in the journal: {each.header[16:].hex()}"


def _stated(data: bytes) -> Sums:
    """The checksum at the end of a header."""
    first, second = struct.unpack(">II", data[-8:])
    return int(first), int(second)


def _words(data: bytes) -> Words:
    """The checksum's words, in the byte order of this machine, as the magic number states."""
    return np.frombuffer(data, np.uint32)


def _powers(count: int) -> npt.NDArray[np.uint64]:
    """uint64[count, 2, 2]: powers of the checksum's step matrix, modulo 2**32."""
    found = np.empty((count, 2, 2), np.uint64)
    a, b, c, d = 1, 0, 0, 1
    for number in range(count):
        found[number] = [[a, b], [c, d]]
        a, b, c, d = (a + c) & _LOW, (b + d) & _LOW, (a + 2 * c) & _LOW, (b + 2 * d) & _LOW
    return found


_LOW = 0xFFFFFFFF
_POWERS = _powers(PAGE // 8 + 2)


def _sums(words: Words) -> Sums:
    """The checksum of these words from zero: s0 += x0 + s1, s1 += x1 + s0 for each pair."""
    first = words[0::2].astype(np.uint64)
    second = first + words[1::2]
    count = len(first)
    weights = _POWERS[count - 1 :: -1] if count else _POWERS[:0]
    low = weights[:, 0, 0] * first + weights[:, 0, 1] * second  # modulo 2**64
    high = weights[:, 1, 0] * first + weights[:, 1, 1] * second
    return int(low.sum()) & _LOW, int(high.sum()) & _LOW


def _advance(before: Sums, sums: Sums, pairs: int) -> Sums:
    """The checksum of words with these `sums` after that of the words before."""
    power = [[int(each) for each in row] for row in _POWERS[pairs]]
    return (
        (power[0][0] * before[0] + power[0][1] * before[1] + sums[0]) & _LOW,
        (power[1][0] * before[0] + power[1][1] * before[1] + sums[1]) & _LOW,
    )
