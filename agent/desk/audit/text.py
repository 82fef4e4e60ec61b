"""Text that says too much: rows of numbers, coded bytes, lines repeated with new numbers."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator

from agent.desk.audit.evidence import Detector

MOST_NUMBERS = 12
"""Numbers in a row that a log may hold; schemas allow no array of numbers at all."""
MOST_REPEATS = 40
"""Times that a log may say the same with other numbers."""
_LONGEST_WORD = 64
"""Letters and digits in a row: a SHA-256 in hex has as many."""
_NUMBER = rb"[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d{1,3})?"
_ROW = re.compile(_NUMBER + rb"(?:[\s,;:|\[\](){}]{1,8}" + _NUMBER + rb"){%d,}" % MOST_NUMBERS)
_WORD = re.compile(rb"[A-Za-z0-9+/=_-]{%d,}" % (_LONGEST_WORD + 1))
_CODED = re.compile(rb"(?:(?:%|\\x|0x)[0-9A-Fa-f]{2}[ ,]?){8,}|(?:\\u[0-9A-Fa-f]{4}){8,}")
_BINARY = re.compile(rb"(?:[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]|[\x80-\xff](?![\x80-\xbf])){4,}")
_STRANGE = re.compile(rb"[\x80-\xff]{24,}")
_PATHS = re.compile(rb"(?:/[A-Za-z0-9_.@+-]{1,40})+/?")


def judge(data: bytes) -> Iterator[tuple[Detector, int, str]]:
    """(detector, offset, what) of everything in a log that is more than words."""
    for run in _ROW.finditer(data):
        count = len(re.findall(_NUMBER, run[0]))
        yield "numbers", run.start(), f"{count} numbers in a row: {_start(run[0])}"
    for run in _WORD.finditer(data):
        # of a file's path only a part without a slash may be a secret
        text = max(re.split(rb"/+", run[0]), key=len) if _is_path(data, run) else run[0]
        if len(text) > _LONGEST_WORD and entropy(text) > 2.5:
            yield "entropy", run.start(), (
                f"{len(text)} characters in a row with {entropy(text):.1f} bits each: "
                f"{_start(text)}"
            )  # fmt: skip
    for pattern, what in (
        (_CODED, "coded bytes"), (_BINARY, "bytes that are no text"), (_STRANGE, "no plain text"),
    ):  # fmt: skip
        for run in pattern.finditer(data):
            yield "entropy", run.start(), f"{len(run[0])} characters of {what}: {_start(run[0])}"
    yield from _repeated(data)


def entropy(text: bytes) -> float:
    """Bits per character."""
    counts = Counter(text)
    return -sum(n / len(text) * math.log2(n / len(text)) for n in counts.values())


def _is_path(data: bytes, run: re.Match[bytes]) -> bool:
    before = data[max(0, run.start() - 1) : run.start()]
    whole = _PATHS.match(data, run.start())
    return before not in (b"+", b"=") and whole is not None and whole.end() >= run.end()


def _repeated(data: bytes) -> Iterator[tuple[Detector, int, str]]:
    """Rows of numbers that were spread over lines."""
    said: dict[bytes, set[bytes]] = {}
    first: dict[bytes, int] = {}
    at = 0
    for line in data.split(b"\n"):
        numbers = re.findall(_NUMBER, line)
        if numbers:
            shape = re.sub(_NUMBER, b"#", line)
            first.setdefault(shape, at)
            said.setdefault(shape, set()).add(b" ".join(numbers))
        at += len(line) + 1
    for shape, different in said.items():
        if len(different) > MOST_REPEATS:
            what = f"one line {len(different)} times with different numbers: {_start(shape)}"
            yield "numbers", first[shape], what


def _start(text: bytes) -> str:
    return ascii(text[:48].decode("latin-1"))[1:-1] + ("…" if len(text) > 48 else "")
