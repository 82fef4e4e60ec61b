"""A JSON parser for untrusted input: bounded size and depth, I-JSON (RFC 7493).

RFC 8259 does not define repeated names, huge numbers and NaN; I-JSON forbids them.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any

MAX_BYTES = 4096
MAX_DEPTH = 4
"""Nesting of objects and arrays; a desired state has three levels."""
_MAX_DIGITS = 12
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*+["\\]?', re.DOTALL)
"""A string to its end or, if unterminated, to the last byte; linear time."""


class MalformedError(ValueError):
    """The input is invalid; the text repeats nothing of it."""


def parse(body: bytes) -> Any:
    """The JSON value in `body`: at most `MAX_BYTES` of UTF-8, `MAX_DEPTH` deep, unique names in an
    object, finite numbers. Raises `MalformedError`."""
    if len(body) > MAX_BYTES:
        raise MalformedError("too long")
    if _depth(body) > MAX_DEPTH:
        raise MalformedError("nested too deeply")
    try:
        return json.loads(
            body.decode(),
            object_pairs_hook=_unique_names,
            parse_int=_integer,
            parse_float=_finite,
            parse_constant=_finite,
        )
    except MalformedError:
        raise
    except ValueError:  # json.JSONDecodeError, UnicodeDecodeError
        raise MalformedError("not JSON in UTF-8") from None


def _depth(body: bytes) -> int:
    """Nesting of brackets outside strings; arbitrary for invalid JSON, which the parser refuses."""
    depth = deepest = 0
    for byte in _STRING.sub(b"", body):
        if byte in b"[{":
            depth += 1
            deepest = max(deepest, depth)
        elif byte in b"]}":
            depth -= 1
    return deepest


def _unique_names(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise MalformedError("a name stands twice in one object")
    return found


def _integer(text: str) -> int:
    if len(text) > _MAX_DIGITS:
        raise MalformedError("a number is too long")
    return int(text)


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise MalformedError("a number is not finite")
    return value
