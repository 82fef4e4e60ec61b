"""Which devices: `tag=floor1 and not (app<0.8.0 or id=shop-*)`.

    expression  = term { "or" term }
    term        = factor { "and" factor }
    factor      = "not" factor | "(" expression ")" | "all" | comparison
    comparison  = column ( "=" | "!=" | "<" | "<=" | ">" | ">=" ) value

Columns: `id`, `tag`, `group`, `state`, `policy`, `model`, `app`, `models`. Values are globs (`*`,
`?`) for `=` and `!=`; `<` and the like compare versions (`app`, `models`) number by number. A query
is parsed into a function, never evaluated as code.
"""

from __future__ import annotations

import fnmatch
import operator as std
import re
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import lru_cache

from tools.common.errors import ToolError

MAX_LENGTH = 10_000
_MAX_DEPTH = 20
_TOKEN = re.compile(r"\s*(?:(<=|>=|!=|=|<|>|\(|\))|([A-Za-z0-9_.*?:/-]+))")
_COLUMNS = ("id", "tag", "group", "state", "policy", "model", "app", "models")
_VERSIONS = ("app", "models")
_VERSION = re.compile(r"[0-9]{1,4}(\.[0-9]{1,4}){0,2}")


@dataclass(frozen=True, slots=True)
class Subject:
    """What a query may ask of a device."""

    id: str
    state: str = "unknown"
    """online, offline, unknown; what it said last."""
    policy: str | None = None
    model: str | None = None
    app: str | None = None
    models: str | None = None
    tags: AbstractSet[str] = frozenset()
    groups: AbstractSet[str] = frozenset()
    """That of its own configuration, and the saved queries that it matches."""


Query = Callable[[Subject], bool]


def parse(text: str) -> Query:
    """Raises `ToolError` that names what is wrong."""
    if len(text) > MAX_LENGTH:
        raise ToolError(f"A query has at most {MAX_LENGTH} characters; this one has {len(text)}.")
    reader = _Reader(_tokens(text), text)
    query = reader.expression(0)
    if reader.tokens:
        reader.fail(f"{reader.tokens[0]!r} is left over")
    return query


def version_key(text: str) -> tuple[int, ...]:
    """`0.8.0` -> (0, 8, 0), which sorts as versions do."""
    numbers = tuple(int(part) for part in text.split("."))
    return numbers + (0,) * (3 - len(numbers))


def _tokens(text: str) -> list[str]:
    found, at, end = [], 0, len(text.rstrip())
    while at < end:
        match = _TOKEN.match(text, at)
        if match is None:
            raise ToolError(
                f"The query {text!r} cannot be read from {text[at:].strip()[:20]!r} on. Values are "
                "letters, digits and _ . * ? : / -"
            )
        found.append(match[1] or match[2])
        at = match.end()
    return found


class _Reader:
    """Recursive descent over the tokens."""

    def __init__(self, tokens: list[str], text: str) -> None:
        self.tokens = tokens
        self._text = text

    def fail(self, what: str) -> None:
        raise ToolError(
            f"The query {self._text!r} cannot be used: {what}. Such as: tag=floor1 and app<0.8.0"
        )

    def expression(self, depth: int) -> Query:
        if depth > _MAX_DEPTH:
            self.fail("it is nested too deeply")
        terms = [self._term(depth)]
        while self._take("or"):
            terms.append(self._term(depth))
        return terms[0] if len(terms) == 1 else lambda subject: any(t(subject) for t in terms)

    def _term(self, depth: int) -> Query:
        factors = [self._factor(depth)]
        while self._take("and"):
            factors.append(self._factor(depth))
        return factors[0] if len(factors) == 1 else lambda subject: all(f(subject) for f in factors)

    def _factor(self, depth: int) -> Query:
        if self._take("not"):
            if depth > _MAX_DEPTH:
                self.fail("it is nested too deeply")
            denied = self._factor(depth + 1)
            return lambda subject: not denied(subject)
        if self._take("("):
            query = self.expression(depth + 1)
            if not self._take(")"):
                self.fail("a ) is missing")
            return query
        if self._take("all"):
            return lambda subject: True
        return self._comparison()

    def _comparison(self) -> Query:
        if not self.tokens:
            self.fail("it ends too early")
        column = self.tokens.pop(0)
        if column not in _COLUMNS:
            self.fail(f"{column!r} is no column; there are {', '.join(_COLUMNS)}")
        if len(self.tokens) < 2 or self.tokens[0] not in ("=", "!=", "<", "<=", ">", ">="):
            self.fail(f"{column} is not compared with anything")
        operator, value = self.tokens.pop(0), self.tokens.pop(0)
        if not re.fullmatch(r"[A-Za-z0-9_.*?:/-]+", value):
            self.fail(f"{value!r} is no value")
        if operator in ("=", "!="):
            return _matching(column, value, wanted=operator == "=")
        if column not in _VERSIONS or not _VERSION.fullmatch(value):
            self.fail(f"{operator} compares app or models with a version such as 0.8.0")
        return _ordered(column, operator, version_key(value))

    def _take(self, token: str) -> bool:
        if self.tokens and self.tokens[0] == token:
            self.tokens.pop(0)
            return True
        return False


def _matching(column: str, value: str, *, wanted: bool) -> Query:
    if "*" not in value and "?" not in value:  # asked of every device of large fleets
        if column in ("tag", "group"):
            many = f"{column}s"
            return lambda subject: (value in getattr(subject, many)) is wanted
        return lambda subject: ((getattr(subject, column) or "") == value) is wanted
    match = re.compile(fnmatch.translate(value)).match
    if column in ("tag", "group"):
        many = f"{column}s"
        return lambda subject: any(map(match, getattr(subject, many))) is wanted
    return lambda subject: (match(getattr(subject, column) or "") is not None) is wanted


def _ordered(column: str, operator: str, value: tuple[int, ...]) -> Query:
    """An unknown version is neither above nor below."""
    holds: Callable[[tuple[int, ...], tuple[int, ...]], bool] = {
        "<": std.lt,
        "<=": std.le,
        ">": std.gt,
        ">=": std.ge,
    }[operator]

    @lru_cache(maxsize=256)
    def compare(text: str | None) -> bool:
        return bool(text and _VERSION.fullmatch(text) and holds(version_key(text), value))

    return lambda subject: compare(getattr(subject, column))
