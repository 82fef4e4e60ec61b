"""What a byte string holds under its encodings, for the search for sound and words: text codes and
compression, several deep, and then numbers of every usual format."""

from __future__ import annotations

import ast
import base64
import binascii
import bz2
import hashlib
import io
import lzma
import re
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from agent.desk.audit._encodings import _NUMBERS, _ONE, _decoded

Values = npt.NDArray[np.float32]

_DEPTH = 3
_MAX_CONTENT = 16_000_000
"""Bytes of one content; a bound against decompression bombs."""
_MAX_CONTENTS = 400
_MAX_MEMORY = 100_000_000
"""Bytes that a decoder may use."""
_BASE85 = re.compile(rb"[!-u]{60,}|[0-9A-Za-z!#$%&()*+;<=>?@^_`{|}~-]{60,}")
_BASE32 = re.compile(rb"[A-Z2-7]{40,}")
_ZIP = re.compile(rb"PK\x03\x04")
_PACKED = re.compile(rb"BZh[1-9]1AY&SY|\xfd7zXZ\x00|\x5d\x00\x00.\x00", re.DOTALL)
MIN_VALUES = 240
"""Numbers in a row that are looked at."""
_LARGEST, _SMALLEST = 1e6, 1e-12
"""Magnitudes between which a float is a sample or a feature; others are other data."""


@dataclass(frozen=True, slots=True, eq=False)
class Content:
    """Bytes found under encodings."""

    how: str
    """`base64`, `gzip in hex` …; empty for the bytes themselves."""
    offset: int
    """In the outermost bytes."""
    data: bytes


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """Bytes read as numbers of one format."""

    how: str
    offset: int
    """In the content, bytes."""
    values: Values
    """float32[N], N at least `MIN_VALUES`."""
    shape: tuple[int, ...] | None = None
    """As stated by an array's header."""


def contents(data: bytes) -> Iterator[Content]:
    """The bytes, and all that they hold under encodings, each once."""
    seen: set[bytes] = set()
    waiting = [(Content("", 0, data), _DEPTH)]
    while waiting and len(seen) < _MAX_CONTENTS:
        content, depth = waiting.pop(0)
        mark = hashlib.blake2b(content.data, digest_size=16).digest()
        if mark in seen or not content.data:
            continue
        seen.add(mark)
        yield content
        if depth:
            for how, at, inner in _inner(content.data):
                name = f"{how} in {content.how}" if content.how else how
                offset = content.offset if content.how else at
                waiting.append((Content(name, offset, inner[:_MAX_CONTENT]), depth - 1))


def _inner(data: bytes) -> Iterator[tuple[str, int, bytes]]:
    """(how, offset, content) one deep."""
    for how, at, _, content in _decoded(data):
        yield how, at, content
    for how, pattern, decoders in (
        ("base85", _BASE85, (base64.b85decode, base64.a85decode)), ("base32", _BASE32, (_base32,)),
    ):  # fmt: skip
        for run in pattern.finditer(data):
            for decode in decoders:
                content = _tried(decode, run[0])
                if content:
                    yield how, run.start(), content
    for run in _ZIP.finditer(data):
        content = _entry(data[run.start() :])
        if content:
            yield "ZIP", run.start(), content
    for run in _PACKED.finditer(data):
        how = "bzip2" if data[run.start()] == 0x42 else "xz"
        content = _tried(_unpacked, data[run.start() :])
        if content:
            yield how, run.start(), content
    if len(data) < _MAX_CONTENT:
        try:
            content = zlib.decompressobj(-15).decompress(data, _MAX_CONTENT)
        except zlib.error:
            content = b""
        if len(content) > len(data) // 2 + 32:
            yield "deflate", 0, content


def _tried(decode: Callable[[bytes], bytes], part: bytes) -> bytes:
    try:
        return decode(part)
    except (ValueError, binascii.Error, OSError, EOFError, lzma.LZMAError, struct.error):
        return b""


def _unpacked(part: bytes) -> bytes:
    if part.startswith(b"BZh"):
        return bz2.BZ2Decompressor().decompress(part, _MAX_CONTENT)
    return lzma.LZMADecompressor(memlimit=_MAX_MEMORY).decompress(part, _MAX_CONTENT)


def _base32(part: bytes) -> bytes:
    return base64.b32decode(part[: len(part) // 8 * 8])


def _entry(data: bytes) -> bytes:
    """Content of the ZIP entry that begins here; empty where there is none."""
    if len(data) < 30:
        return b""
    method, size = struct.unpack_from("<H", data, 8)[0], struct.unpack_from("<I", data, 18)[0]
    names, extra = struct.unpack_from("<HH", data, 26)
    body = data[30 + names + extra :]
    if method == 8:
        return _tried(lambda part: zlib.decompressobj(-15).decompress(part, _MAX_CONTENT), body)
    return body[:size] if method == 0 and 0 < size < 0xFFFFFFFF else b""


def all_series(data: bytes) -> Iterator[Series]:
    """The bytes as samples and as numbers of every usual format, at every alignment."""
    yield from _arrays(data)
    yield from _texts(data)
    raw = np.frombuffer(data, np.uint8)
    if len(raw) < MIN_VALUES:
        return
    unsigned = raw.astype(np.float32) - 128
    yield Series("8-bit", 0, unsigned)
    yield Series("signed 8-bit", 0, raw.view(np.int8).astype(np.float32))
    yield Series("mu-law", 0, _MU_LAW[raw])
    yield Series("A-law", 0, _A_LAW[raw])
    for code, name in (("<i2", "16-bit"), (">i2", "16-bit, big endian"), ("<i4", "32-bit"),
                       (">i4", "32-bit, big endian")):  # fmt: skip
        size = np.dtype(code).itemsize
        for shift in range(size):
            count = (len(data) - shift) // size
            if count >= MIN_VALUES:
                values = np.frombuffer(data, code, count, shift).astype(np.float32)
                yield Series(f"{name} PCM", shift, values)
    for shift in range(3):
        count = (len(data) - shift) // 3
        if count >= MIN_VALUES:
            three = raw[shift : shift + 3 * count].reshape(count, 3).astype(np.int32)
            for name, high, low in (("24-bit", 2, 0), ("24-bit, big endian", 0, 2)):
                value = three[:, high].astype(np.int8).astype(np.int32) * 65536
                value += three[:, 1] * 256 + three[:, low]
                yield Series(f"{name} PCM", shift, value.astype(np.float32))
    for code in ("<f4", ">f4", "<f2", ">f2", "<f8", ">f8"):
        size = np.dtype(code).itemsize
        for shift in range(size):
            count = (len(data) - shift) // size
            if count >= MIN_VALUES:
                yield from _floats(np.frombuffer(data, code, count, shift), code, shift)


def _floats(values: npt.NDArray[np.floating], code: str, shift: int) -> Iterator[Series]:
    """Runs of plausible magnitudes."""
    with np.errstate(invalid="ignore", over="ignore"):
        size = np.abs(values.astype(np.float64))
        good = (size <= _LARGEST) & ((size >= _SMALLEST) | (size == 0))
    edges = np.flatnonzero(np.diff(good.astype(np.int8), prepend=0, append=0))
    for start, end in zip(edges[::2], edges[1::2], strict=True):
        run = values[start:end]
        # not the zero padding of files
        if end - start >= MIN_VALUES and np.count_nonzero(run) >= MIN_VALUES // 2:
            at = shift + int(start) * values.itemsize
            order = ", big endian" if code[0] == ">" else ""
            yield Series(f"float{8 * values.itemsize}{order}", at, run.astype(np.float32))


def _texts(data: bytes) -> Iterator[Series]:
    """Runs of decimal numbers."""
    for run in _NUMBERS.finditer(data):
        values = np.array([float(each[0]) for each in _ONE.finditer(run[0])], np.float64)
        if len(values) >= MIN_VALUES and np.abs(values).max() < 1e12:
            yield Series("numbers in text", run.start(), values.astype(np.float32))


def _arrays(data: bytes) -> Iterator[Series]:
    """NumPy's arrays (numpy.lib.format), with their shape."""
    for run in re.finditer(rb"\x93NUMPY[\x01-\x03]\x00", data):
        at = run.start()
        wide = data[at + 6] > 1
        start = at + (12 if wide else 10)
        size = int.from_bytes(data[at + 8 : start], "little")
        try:
            head = ast.literal_eval(data[start : start + size].decode("latin-1").strip())
            kind, shape = np.dtype(head["descr"]), tuple(map(int, head["shape"]))
        except (ValueError, SyntaxError, KeyError, TypeError, MemoryError, RecursionError):
            continue
        if kind.kind not in "fiu" or kind.itemsize > 8 or any(each <= 0 for each in shape):
            continue
        count = min(int(np.prod(shape, dtype=np.float64)), (len(data) - start - size))
        count = min(count, (len(data) - start - size) // kind.itemsize)
        if count < MIN_VALUES:
            continue
        with np.errstate(over="ignore"):
            values = np.frombuffer(data, kind, count, start + size).astype(np.float32)
        if head.get("fortran_order"):
            shape = shape[::-1]
        if np.isfinite(values).all():
            yield Series(f"NumPy array of {kind.name}", start + size, values, shape)


def joined(parts: list[bytes]) -> bytes:
    """Parts of pages in their order: SQLite's overflow pages each begin with the next one's
    number."""
    out = io.BytesIO()
    for part in parts:
        out.write(part[4:] if len(part) == 4096 and part[:2] == b"\0\0" else part)
    return out.getvalue()


def _mu_law() -> Values:
    """ITU-T G.711."""
    code = ~np.arange(256, dtype=np.uint8)
    size = ((code & 15).astype(np.int32) * 2 + 33 << (code >> 4 & 7)) - 33
    return np.where(code & 128, -size, size).astype(np.float32)


def _a_law() -> Values:
    """ITU-T G.711."""
    code = np.arange(256, dtype=np.uint8) ^ 0x55
    step, low = (code >> 4 & 7).astype(np.int32), (code & 15).astype(np.int32)
    size = np.where(step == 0, low * 2 + 1, (low * 2 + 33) << np.maximum(step - 1, 0))
    return np.where(code & 128, size, -size).astype(np.float32)


_MU_LAW, _A_LAW = _mu_law(), _a_law()
