"""Decodings of bytes into pixels: as they are, from base64, hex or percent-encoded text, unpacked,
from numbers in text, from packed integers and floats."""

from __future__ import annotations

import base64
import binascii
import re
import urllib.parse
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Bytes = npt.NDArray[np.uint8]

LEAST = 24
"""Pixels in a row below which nothing can be said."""
_UNPACKED = 16_000_000
"""Bytes that a compressed stream may become, at most: a bomb is no picture."""
_BASE64 = re.compile(rb"[A-Za-z0-9+/_-](?:[A-Za-z0-9+/_-]|\\?\r?\n[ \t]*|\\[nr/]){30,}")
_HEX = re.compile(rb"[0-9A-Fa-f](?:[ :,]?[0-9A-Fa-f]){47,}")
_PERCENT = re.compile(rb"(?:%[0-9A-Fa-f]{2}|[!-~]){24,}")
_ESCAPED = re.compile(rb"(?:\\x[0-9a-f]{2}|[ -~]){24,}")
NUMBER = rb"[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d{1,3})?"
_BETWEEN = rb"[\s,;|\[\](){}]{1,8}"
_NUMBERS = re.compile(NUMBER + rb"(?:" + _BETWEEN + NUMBER + rb"){11,}")
_ONE = re.compile(NUMBER)
_FLOATS = ("<f4", ">f4", "<f2", "<f8", ">f8")
_STRIDES = (2, 3, 4, 8)


@dataclass(frozen=True, slots=True, eq=False)
class Decoding:
    """Some bytes of an artifact, read as pixels in one way."""

    how: str
    """For people: `base64`, `numbers in text` …; empty for the bytes as they are."""
    offset: int
    """Where in the artifact it begins."""
    step: float
    """Bytes of the artifact per pixel, about."""
    pixels: Bytes
    whole: bool = False
    """True where its ends are known, so that it may be a picture from its first pixel to its last.
    """

    @property
    def coded(self) -> bool:
        """Bytes were written as text, or packed: base64 and so on."""
        return bool(self.how) and not self.how.startswith(("numbers", "float", "every"))


def decodings(data: bytes, depth: int = 2) -> Iterator[Decoding]:
    """Every way in which these bytes may hold pixels; what is too short is left out."""
    yield Decoding("", 0, 1.0, np.frombuffer(data, np.uint8))
    yield from _packed(data)
    yield from _numbers(data)
    for how, offset, step, inner in _decoded(data):
        yield Decoding(how, offset, step, np.frombuffer(inner, np.uint8), whole=True)
        if depth and how != "percent":
            for each in decodings(inner, depth - 1):
                if each.how:
                    yield Decoding(
                        f"{each.how} in {how}", offset + int(each.offset * step),
                        step * each.step, each.pixels, each.whole,
                    )  # fmt: skip


def _decoded(data: bytes) -> Iterator[tuple[str, int, float, bytes]]:
    """(how, offset, bytes of text per byte, content) of every run that may be coded bytes."""
    for run in _BASE64.finditer(data):
        text = re.sub(rb"\\?\r?\n[ \t]*|\\[nr]|\\(?=/)", b"", run[0])
        text = text.translate(bytes.maketrans(b"-_", b"+/"))
        for shift in range(4):
            part = text[shift : len(text) - ((len(text) - shift) % 4 == 1)]
            inner = base64.b64decode(part + b"=" * (-len(part) % 4))
            if len(inner) >= LEAST:
                yield "base64", run.start() + shift, 4 / 3, inner
    for run in _HEX.finditer(data):
        text = re.sub(rb"[ :,]", b"", run[0])
        step = len(run[0]) / (len(text) / 2)
        for shift in (0, 1):
            part = text[shift : shift + (len(text) - shift) // 2 * 2]
            yield "hex", run.start() + shift, step, binascii.unhexlify(part)
    for run in _PERCENT.finditer(data):
        if run[0].count(b"%") >= 8:
            inner = urllib.parse.unquote_to_bytes(run[0])
            yield "percent", run.start(), len(run[0]) / len(inner), inner
    for run in _ESCAPED.finditer(data):
        inner = _unescaped(run[0]) if run[0].count(b"\\x") >= 4 else b""
        if len(inner) >= LEAST:
            yield "escaped text", run.start(), len(run[0]) / len(inner), inner
    yield from _unpacked(data)


def _unescaped(text: bytes) -> bytes:
    """Python's and C's \\x.., \\n and so on, as in the repr of bytes."""
    plain = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"0": b"\0"}

    def one(match: re.Match[bytes]) -> bytes:
        code = match[1]
        return bytes([int(code[1:], 16)]) if code[:1] == b"x" else plain.get(code, code)

    return re.sub(rb"\\(x[0-9a-f]{2}|.)", one, text)


def _unpacked(data: bytes) -> Iterator[tuple[str, int, float, bytes]]:
    """zlib and gzip streams, found by their first bytes (RFC 1950, RFC 1952)."""
    for run in re.finditer(rb"\x78[\x01\x5e\x9c\xda]|\x1f\x8b\x08", data):
        at = run.start()
        gzip = data[at] == 0x1F
        engine = zlib.decompressobj(31 if gzip else 15)
        try:
            inner = engine.decompress(data[at:], _UNPACKED)
        except zlib.error:
            continue
        used = len(data) - at - len(engine.unused_data)
        if len(inner) >= LEAST:
            yield "gzip" if gzip else "zlib", at, used / len(inner), inner


def _numbers(data: bytes) -> Iterator[Decoding]:
    """Runs of numbers in text, brought to 0..255."""
    for run in _NUMBERS.finditer(data):
        values = np.array([float(each[0]) for each in _ONE.finditer(run[0])], np.float64)
        pixels = _as_pixels(values)
        if pixels is not None and len(values) >= LEAST:
            step = len(run[0]) / len(values)
            yield Decoding("numbers in text", run.start(), step, pixels, whole=True)


def _as_pixels(values: npt.NDArray[np.float64]) -> Bytes | None:
    """Grey levels of 0..255, 0..1, -1..1 or -128..127; else stretched. None without contrast."""
    if not np.isfinite(values).all():
        return None
    # a few numbers before or behind the picture, its size say, must not decide
    low, high = (float(each) for each in np.quantile(values, (0.02, 0.98)))
    if high - low <= 0:
        return None
    if low >= 0 and 1.5 < high <= 255.5:
        scaled = values
    elif low >= 0 and high <= 1.0:
        scaled = values * 255
    elif low >= -1 and high <= 1.0:
        scaled = (values + 1) * 127.5
    elif low >= -128 and high <= 127.5:
        scaled = values + 128
    else:
        scaled = (values - low) * (255 / (high - low))
    grey: Bytes = np.clip(np.rint(scaled), 0, 255).astype(np.uint8)
    return grey


def _packed(data: bytes) -> Iterator[Decoding]:
    """Every n-th byte (interleaved colours, wider integers), and floats in [0, 1], [-1, 1] or
    [0, 255], at every alignment."""
    raw = np.frombuffer(data, np.uint8)
    for stride in _STRIDES:
        for shift in range(stride):
            part = raw[shift::stride]
            if len(part) >= LEAST:
                yield Decoding(f"every {stride}. byte", shift, stride, part)
    for code in _FLOATS:
        size = np.dtype(code).itemsize
        for shift in range(size):
            count = (len(data) - shift) // size
            if count >= LEAST:
                yield from _floats(np.frombuffer(data, code, count, shift), code, shift)


def _floats(values: npt.NDArray[np.floating], code: str, shift: int) -> Iterator[Decoding]:
    """Runs of plausible grey levels. Tiny magnitudes are no pixels but other bytes."""
    with np.errstate(invalid="ignore"):
        magnitude = np.abs(values.astype(np.float64, copy=False))
        good = (magnitude <= 255.0) & ((magnitude >= 1e-4) | (magnitude == 0))
    edges = np.flatnonzero(np.diff(good.astype(np.int8), prepend=0, append=0))
    for start, end in zip(edges[::2], edges[1::2], strict=True):
        if end - start < LEAST:
            continue
        run = values[start:end].astype(np.float64)
        # zeros are what files are padded with
        if np.count_nonzero(run) < LEAST or len(np.unique(run)) < 8:
            continue
        pixels = _as_pixels(run)
        if pixels is not None:
            size = values.itemsize
            name = f"float{8 * size} ({code[0]})"
            yield Decoding(name, shift + int(start) * size, size, pixels, whole=True)
