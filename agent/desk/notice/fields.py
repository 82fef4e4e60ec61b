"""A message's fields, read from its JSON Schema: what each means, may say and can carry at most."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from agent.base.errors import AgentError
from agent.base.schemas.capacity import capacity
from agent.desk.notice.meanings import MEANINGS

Schema = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Field:
    """One row of the page."""

    path: str
    meaning: str
    says: str
    """The values that it can have."""
    bits: float
    """log2 of their number."""


def fields(schema: Schema) -> list[Field]:
    """Every field of a message, those within objects below them.

    Raises `AgentError` where a field has no meaning in `meanings`.
    """
    return list(_Walk(schema).rows(schema, ""))


def meaning(model: str, field: str) -> str:
    """Raises `AgentError` where nobody wrote one down."""
    name = f"{model}.{field}"
    found = MEANINGS.get(name)
    if found is None:
        patterns = [each for each in MEANINGS if "*" in each and fnmatchcase(name, each)]
        if not patterns:
            raise AgentError(f"agent/notice/meanings.py has no word for {name}. Add it.")
        found = MEANINGS[max(patterns, key=len)]
    return found.replace("{field}", field)


class _Walk:
    def __init__(self, schema: Schema) -> None:
        self._definitions: dict[str, Schema] = schema.get("$defs", {})
        self._remote = "RemoteSettings" in self._definitions

    def rows(self, schema: Schema, prefix: str) -> Iterator[Field]:
        title = str(schema["title"])
        # The only two models that share a name.
        title = "RemotePrivacy" if title == "Privacy" and self._remote else title
        for name, raw in schema["properties"].items():
            path = prefix + name
            yield Field(path, meaning(title, name), self._says(raw), self._bits(raw))
            for option in self._options(raw):
                inner = self._resolved(option)
                if inner.get("type") == "array":
                    inner = self._resolved(inner["items"])
                    path += "[]"
                if inner.get("type") == "object" and "title" in inner:
                    yield from self.rows(inner, f"{path}.")

    def _bits(self, schema: Schema) -> float:
        return capacity({**schema, "$defs": self._definitions}).bits

    def _resolved(self, schema: Schema) -> Schema:
        while "$ref" in schema:
            schema = self._definitions[schema["$ref"].removeprefix("#/$defs/")]
        return schema

    def _options(self, schema: Schema) -> list[Schema]:
        schema = self._resolved(schema)
        options: list[Schema] = schema.get("anyOf", [schema])
        return options

    def _says(self, schema: Schema) -> str:
        options = [self._resolved(each) for each in self._options(schema)]
        null = any(each.get("type") == "null" for each in options)
        options = [each for each in options if each.get("type") != "null"]
        if len(options) > 1 and all(each.get("type") == "integer" for each in options):
            said = _stretches(options)
        else:
            said = "; ".join(dict.fromkeys(map(self._one, options)))
        return f"{said}, or nothing" if null and said else said or "nothing"

    def _one(self, schema: Schema) -> str:
        if "const" in schema:
            return _value(schema["const"])
        if "enum" in schema:
            return " | ".join(map(_value, schema["enum"]))
        kind = schema["type"]
        if kind == "integer":
            step = schema.get("multipleOf", 1)
            steps = f" in steps of {step}" if step != 1 else ""
            return f"{schema['minimum']} to {schema['maximum']}{steps}"
        if kind == "string":
            return _pattern(schema["pattern"])
        if kind == "array":
            return f"at most {schema['maxItems']} of: {self._says(schema['items'])}"
        if kind == "object" and "title" not in schema:
            parts = (f"{key} {self._says(each)}" for key, each in schema["properties"].items())
            return ", ".join(parts)
        return {"object": "the fields below", "boolean": "true | false"}[kind]


def _stretches(options: list[Schema]) -> str:
    """Integers that grow coarser away from zero."""
    fine = next((each for each in options if each.get("multipleOf", 1) == 1), options[0])
    low = min(each["minimum"] for each in options)
    high = max(each["maximum"] for each in options)
    return f"{low} to {high}: by ones from {fine['minimum']} to {fine['maximum']}, coarser beyond"


def _value(value: Any) -> str:
    return "nothing" if value is None else str(value)


def _pattern(pattern: str) -> str:
    hexadecimal = re.fullmatch(r"\^\[0-9a-f\]\{(\d+)\}\$", pattern)
    if hexadecimal:
        return f"{hexadecimal[1]} hexadecimal digits"
    dotted = pattern.strip("^$").split(r"\.")
    if len(dotted) > 1 and set(dotted) == {"[0-9]{1,4}"}:
        return f"{len(dotted)} numbers of at most 4 digits, with dots between"
    return f"text like {pattern}"
