"""Every byte of a page of an SQLite file (sqlite.org/fileformat2.html): cells, free space, what is
left of moved cells."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from agent.desk.audit._rows import RowCheck, Value

HEAD = b"SQLite format 3\0"
HEAD_SIZE = 100
_HEADERS = {2: 12, 5: 12, 10: 8, 13: 8}
"""Bytes, by B-tree page type: interior index, interior table, leaf index, leaf table."""
_INTERIOR, _TABLE = (2, 5), (5, 13)
MAX_PAGES = 100_000
_MAX_FRAGMENT = 3
_MAX_STEPS = 12
"""Distinct distances of the pointers that removed cells have left; a used page has up to five."""
_INT_SIZES = {1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8}


class PageError(ValueError):
    """Bytes that are no page."""


@dataclass(slots=True)
class Page:
    """One page, parsed: its parts in order, and what is wrong with them."""

    data: bytes
    wrong: list[tuple[int, int, str]] = field(default_factory=list)
    """(start, end, what)."""
    cells: list[tuple[int, int]] = field(default_factory=list)
    """(start, end) of live cells with a valid row."""
    rest: list[tuple[int, int]] = field(default_factory=list)
    """(start, end) of space that holds zeros or what is left of earlier cells."""


def varint(data: bytes, at: int) -> tuple[int, int]:
    """(value, end) of a variable-length integer. Raises `PageError`."""
    value = 0
    for place in range(9):
        if at + place >= len(data):
            raise PageError("a number beyond the page's end")
        byte = data[at + place]
        value = value << 8 | byte if place == 8 else value << 7 | byte & 0x7F
        if place == 8 or byte < 0x80:
            if place and (value >> (7 * place)) == 0 and place < 8:
                raise PageError("a number that is longer than it must be")
            return (value - (1 << 64) if value >= 1 << 63 else value), at + place + 1
    raise PageError("no number")


def record(data: bytes) -> list[Value]:
    """The values of a record that fills the bytes exactly. Raises `PageError`."""
    size, at = varint(data, 0)
    if not 0 < size <= len(data):
        raise PageError("a record's header beyond its end")
    codes = []
    while at < size:
        code, at = varint(data, at)
        codes.append(code)
    if at != size:
        raise PageError("a record's header of another size")
    values: list[Value] = []
    for code in codes:
        value, length = _value(code, data[at:])
        if length > len(data) - at:
            raise PageError("a value beyond the record's end")
        values.append(value)
        at += length
    if at != len(data):
        raise PageError("bytes behind a record")
    return values


def _value(code: int, data: bytes) -> tuple[Value, int]:
    """(value, bytes) of a serial type."""
    if code == 0:
        return None, 0
    if code in (8, 9):
        return code - 8, 0
    if code in _INT_SIZES:
        size = _INT_SIZES[code]
        return int.from_bytes(data[:size], "big", signed=True), size
    if code == 7:
        if len(data) < 8:
            raise PageError("a number beyond the record's end")
        return float(struct.unpack_from(">d", data)[0]), 8
    if code < 12:
        raise PageError(f"a value of type {code}")
    size = (code - 12) // 2
    content = data[:size]
    if code % 2 == 0:
        return content, size
    try:
        return content.decode(), size
    except UnicodeDecodeError:
        raise PageError("a text that is not UTF-8") from None


def parse(data: bytes, rows: RowCheck) -> Page:
    """Account for every byte of a page; `wrong` lists what belongs to no row and no structure."""
    page = Page(data)
    start = 0
    if data.startswith(HEAD):
        _check_head(page, rows.version)
        start = HEAD_SIZE
    kind = data[start] if len(data) > start + 12 else 0
    if not any(data):
        return page
    if kind in _HEADERS:
        try:
            _tree(page, start, kind, rows)
        except PageError as error:
            page.wrong.append((0, len(data), f"a page that is none: {error}"))
    elif not _is_trunk(data):
        page.wrong.append((start, len(data), "a page that is neither rows nor free"))
    return page


def cell_at(data: bytes, at: int, kind: int, rows: RowCheck) -> tuple[int, str | None]:
    """(end, what is wrong) of a cell. Raises `PageError`."""
    begin = at
    if kind in _INTERIOR:
        if len(data) < at + 4 or struct.unpack_from(">I", data, at)[0] > MAX_PAGES:
            raise PageError("a child beyond the file's end")
        at += 4
        if kind == 5:
            rowid, at = varint(data, at)
            return at, None if 0 <= rowid < 1 << 41 else f"row id {rowid}"
    size, at = varint(data, at)
    rowid = 0
    if kind == 13:
        rowid, at = varint(data, at)
    if not 0 < size <= len(data) - at:
        raise PageError("a cell beyond the page's end")
    cell = data[begin : at + size]
    if (kind, cell) not in rows.known:
        values = record(data[at : at + size])
        rows.known[kind, cell] = rows.table(rowid, values) if kind == 13 else rows.index(values)
    return max(at + size, begin + 4), rows.known[kind, cell]


def _tree(page: Page, start: int, kind: int, rows: RowCheck) -> None:
    data = page.data
    block, count, content = struct.unpack_from(">HHH", data, start + 1)
    content = content or 65_536
    array = start + _HEADERS[kind]
    end = array + 2 * count
    if end > content or content > len(data):
        raise PageError("more cells than fit")
    if kind in _INTERIOR and struct.unpack_from(">I", data, start + 8)[0] > MAX_PAGES:
        raise PageError("a child beyond the file's end")
    used: list[tuple[int, int]] = []
    for at in struct.unpack_from(f">{count}H", data, array):
        if not content <= at < len(data):
            raise PageError("a cell outside of the page's content")
        stop, wrong = cell_at(data, at, kind, rows)
        if wrong is None:
            page.cells.append((at, stop))
        else:
            page.wrong.append((at, stop, wrong))
        used.append((at, stop))
    for at, size in _blocks(data, block, content):
        used.append((at, at + 4))
        page.rest.append((at + 4, at + size))
    used += page.rest
    used.sort()
    last = content
    for at, stop in used:
        if at < last and stop > at:
            raise PageError("parts that overlap")
        _fragment(page, last, at)
        last = max(last, stop)
    _fragment(page, last, len(data))
    page.rest.append((_pointers_left(data, end, content), content))


def _blocks(data: bytes, block: int, content: int) -> Iterator[tuple[int, int]]:
    """(offset, size) of the free blocks."""
    last = content - 1
    while block:
        if block <= last or block + 4 > len(data):
            raise PageError("free blocks out of order")
        following, size = struct.unpack_from(">HH", data, block)
        if size < 4 or block + size > len(data):
            raise PageError("a free block beyond the page's end")
        yield block, size
        last, block = block + size - 1, following


def _fragment(page: Page, start: int, end: int) -> None:
    """Up to three bytes between cells may be left over; they were the head of a free block."""
    part = page.data[start:end]
    if len(part) > _MAX_FRAGMENT or (len(part) > 1 and part[0] >= len(page.data) >> 8):
        page.rest.append((start, end))


def _pointers_left(data: bytes, at: int, content: int) -> int:
    """End of the pointers of removed cells behind the array.

    They ran from one cell to the next, so that many differ in few steps; cells do not overlap.
    """
    taken = bytearray(len(data) + 4)
    begin, last, steps = at, 0, set()
    distinct = 0
    while at + 2 <= content:
        pointer = struct.unpack_from(">H", data, at)[0]
        if not at < pointer <= len(data) - 4:
            break
        if taken[pointer] != 2 and any(taken[pointer - 3 : pointer + 4]):
            break
        if pointer != last:
            steps.add(pointer - last)
            distinct += taken[pointer] != 2
        taken[pointer], last = 2, pointer
        at += 2
    return begin if distinct > _MAX_STEPS and len(steps) > _MAX_STEPS else at


def _is_trunk(data: bytes) -> bool:
    """Whether it is a trunk of the list of free pages; other free pages hold zeros."""
    count = struct.unpack_from(">I", data, 4)[0]
    numbers = struct.unpack(f">{len(data) // 4}I", data)
    behind = max((n for n, each in enumerate(numbers) if each), default=0)
    few = behind + 1 >= 2 and len(set(numbers[2 : behind + 1])) <= behind + 1
    return few and count <= len(numbers) - 2 and all(each < MAX_PAGES for each in numbers)


def _check_head(page: Page, layout: int) -> None:
    """The database header (section 1.3); `layout`: the outbox's version."""
    data = page.data
    (size, write, read, reserved, most, least, leaf, changes, pages, trunk, free, cookie, form,
     cache, vacuum, encoding, version, increment, application) = struct.unpack_from(
        ">HBBBBBB12I", data, 16)  # fmt: skip
    valid, library = struct.unpack_from(">II", data, 92)
    small = max(changes, pages, trunk, free, cookie, valid) < MAX_PAGES
    fixed: Sequence[tuple[int, tuple[int, ...]]] = (
        (size, (len(data), 1)), (write, (1, 2)), (read, (1, 2)), (reserved, (0,)), (most, (64,)),
        (least, (32,)), (leaf, (32,)), (form, (0, 4)), (cache, (0,)), (vacuum, (0,)),
        (encoding, (0, 1)), (version, (0, layout)), (increment, (0,)), (application, (0,)),
    )  # fmt: skip
    wrong = [value for value, allowed in fixed if value not in allowed]
    plausible = library == 0 or 3_007_000 <= library < 4_000_000  # 0: not written to since made
    if wrong or any(data[72:92]) or not small or not plausible:
        page.wrong.append((16, HEAD_SIZE, "the file's header has other values"))
