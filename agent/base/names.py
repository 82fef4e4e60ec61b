"""File names as text. POSIX allows every byte but `/` and NUL in one; terminals, tables and JSON do
not (IEEE Std 1003.1, 3.170; RFC 8259, 8.1 and 8.2).

Python holds a byte that is no UTF-8 as a lone surrogate (PEP 383), which can be neither printed nor
sent to another JSON reader."""

from __future__ import annotations

import re

_JOINERS = "\u200c\u200d"
"""Zero-width (non-)joiners: part of words in some scripts, and of emoji."""
_UNDECODED = re.compile("[\udc80-\udcff]")
_SURROGATE = re.compile("[\ud800-\udfff]")


def one_line(text: object) -> str:
    """A name, or a message that holds names, for a terminal: a byte that is no UTF-8 as `\\xE9`,
    control characters as `\\n` or `\\x1b`, others that would not show, such as those that turn the
    direction of writing, as `\\u202e`. Quotes and backslashes stay."""
    line = str(text)
    if line.isprintable():
        return line
    return "".join(c if c.isprintable() or c in _JOINERS else _escaped(c) for c in line)


def as_utf8(text: object) -> str:
    """A name for JSON or another document in UTF-8: a byte that is no UTF-8 as `\\xE9`; all else as
    it is, since JSON has escapes of its own."""
    return _SURROGATE.sub(lambda found: _escaped(found[0]), str(text))


def _escaped(character: str) -> str:
    if _UNDECODED.fullmatch(character):
        return f"\\x{ord(character) - 0xDC00:02x}"
    return character.encode("unicode_escape").decode("ascii")
