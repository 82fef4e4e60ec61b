"""Which devices: `tag=floor1 and not (app<0.8.0 or id=shop-*)`.

    expression  = term { "or" term }
    term        = factor { "and" factor }
    factor      = "not" factor | "(" expression ")" | "all" | comparison
    comparison  = column ( "=" | "!=" | "<" | "<=" | ">" | ">=" ) value

Columns: `id`, `tag`, `group`, `state`, `policy`, `model`, `app`, `models`. Values are globs (`*`, `?`)
for `=` and `!=`; `<` and the like compare versions (`app`, `models`) number by number. A query is
parsed into a function, never evaluated as code.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from tools.common.errors import ToolError

MAX_LENGTH = 500
_MAX_DEPTH = 20
_TOKEN = re.compile(r"\s*(?:(<=|>=|!=|=|<|>|\(|\))|([A-Za-z0-9_.*?:/-]+))")
_TEXT = ("id", "tag", "group", "state", "policy", "model", "app", "models")
_VERSIONS = ("app", "models")
_VERSION = re.compile(r"[0-9]{1,4}(\.[0-9]{1,4}){0,2}")


@dataclass(frozen=True, slots=True)
class Subject:
    """What a query may ask of a device."""

    id: str
    state: str = "unknown"
    """online, offline, unknown; what it said last."""
    group: str | None = None
    policy: str | None = None
    model: str | None = None
    app: str | None = None
    models: str | None = None
    tags: Collection[str] = field(default_factory=frozenset)


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
        query = self._term(depth)
        while self._take("or"):
            query = _either(query, self._term(depth))
        return query

    def _term(self, depth: int) -> Query:
        query = self._factor(depth)
        while self._take("and"):
            query = _both(query, self._factor(depth))
        return query

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
        if column not in _TEXT:
            self.fail(f"{column!r} is no column; there are {', '.join(_TEXT)}")
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


def _either(one: Query, other: Query) -> Query:
    return lambda subject: one(subject) or other(subject)


def _both(one: Query, other: Query) -> Query:
    return lambda subject: one(subject) and other(subject)


def _matching(column: str, value: str, *, wanted: bool) -> Query:
    match = re.compile(fnmatch.translate(value)).match
    if column == "tag":
        return lambda subject: any(map(match, subject.tags)) is wanted
    return lambda subject: (match(getattr(subject, column) or "") is not None) is wanted


def _ordered(column: str, operator: str, value: tuple[int, ...]) -> Query:
    """An unknown version is neither above nor below."""
    holds = {
        "<": lambda found: found < value,
        "<=": lambda found: found <= value,
        ">": lambda found: found > value,
        ">=": lambda found: found >= value,
    }[operator]

    def query(subject: Subject) -> bool:
        text = getattr(subject, column)
        return bool(text and _VERSION.fullmatch(text) and holds(version_key(text)))

    return query
