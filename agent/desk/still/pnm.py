"""Headers of PBM, PGM and PPM as netpbm reads them: a comment may follow anything at once, and
stands for the end of its line. Pillow takes `4#c` for a number, and `1#c`, `2` for 12."""

from __future__ import annotations

import io
import re
from typing import IO

MAGIC = (b"P1", b"P2", b"P3", b"P4", b"P5", b"P6")
_TEXT = (b"P1", b"P2", b"P3")
_NO_DEPTH = (b"P1", b"P4")
"""Bilevel: nothing follows the size."""
_GAP = rb"(?:[ \t\r\n]|#[^\r\n]*[\r\n])"
_NUMBER = _GAP + rb"*+0*+(\d+)"
_BILEVEL = re.compile(rb"(P[14])" + 2 * _NUMBER + _GAP)
_OTHER = re.compile(rb"(P[2356])" + 3 * _NUMBER + _GAP)
_COMMENT = re.compile(rb"#[^\r\n]*")
_MOST = 1 << 20
"""Bytes in which a header ends."""


def as_netpbm(file: IO[bytes]) -> IO[bytes]:
    """The file, or a copy in memory without its comments, where Pillow would mistake them."""
    file.seek(0)
    head = file.read(_MOST)
    found = (_BILEVEL if head.startswith(_NO_DEPTH) else _OTHER).match(head)
    if found is None:  # damaged: Pillow says so
        return file
    is_text = head.startswith(_TEXT)
    if found[0].split() == list(found.groups()) and not (is_text and _holds_comment(file)):
        return file
    file.seek(found.end())
    rest = file.read()
    return io.BytesIO(
        b" ".join(found.groups()) + b"\n" + (_COMMENT.sub(b"", rest) if is_text else rest)
    )


def _holds_comment(file: IO[bytes]) -> bool:
    file.seek(0)
    return any(b"#" in piece for piece in iter(lambda: file.read(_MOST), b""))
