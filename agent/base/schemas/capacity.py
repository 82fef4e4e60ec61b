"""Channel capacity of a closed JSON Schema.

A schema is closed when every object, array, string and number in it is bounded. Then the messages
that satisfy it can be counted, and the logarithm of their number is the capacity: the upper bound
on what a tampered device could exfiltrate in one message.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from math import ceil, comb, log2
from typing import Any

from agent.base.errors import AgentError

Schema = dict[str, Any]

_PIECE = re.compile(
    r"(?:\[(?P<set>[^\]\\^]+)\]|\\?(?P<literal>[.:\-\w]))"
    r"(?:\{(?P<count>\d+(?:,\d+)?)\})?"
)
"""One character class or literal of a pattern, with its repetition."""


class OpenSchemaError(AgentError):
    """A schema has an unbounded part."""


@dataclass(frozen=True, slots=True)
class Capacity:
    """Upper bounds on one message's length and information."""

    bytes: int
    """Longest message as compact JSON."""
    bits: float
    """log2 of the number of distinct messages."""

    def __add__(self, other: Capacity) -> Capacity:
        return Capacity(self.bytes + other.bytes, self.bits + other.bits)


def capacity(schema: Schema) -> Capacity:
    """The capacity of one message. Raises `OpenSchemaError` naming the first unbounded part."""
    return _Walk(schema.get("$defs", {})).measure(schema, "message")


class _Walk:
    def __init__(self, definitions: dict[str, Schema]) -> None:
        self._definitions = definitions

    def measure(self, schema: Schema, where: str) -> Capacity:
        if "$ref" in schema:
            name = schema["$ref"].removeprefix("#/$defs/")
            if name not in self._definitions:
                raise OpenSchemaError(f"{where}: {schema['$ref']} is not in this schema")
            return self.measure(self._definitions[name], where)
        if "const" in schema:
            return _choice([schema["const"]])
        if "enum" in schema:
            return _choice(schema["enum"])
        if "anyOf" in schema:
            return _any([self.measure(each, where) for each in schema["anyOf"]])
        kind = schema.get("type")
        if kind == "null":
            return _choice([None])
        if kind == "boolean":
            return _choice([True, False])
        if kind == "integer":
            return _integer(schema, where)
        if kind == "string":
            return _string(schema, where)
        if kind == "array":
            return self._array(schema, where)
        if kind == "object":
            return self._object(schema, where)
        raise OpenSchemaError(f"{where}: type {kind} cannot be bounded")

    def _object(self, schema: Schema, where: str) -> Capacity:
        if schema.get("additionalProperties") is not False:
            raise OpenSchemaError(f"{where}: unknown keys are not refused")
        properties = schema.get("properties", {})
        if set(schema.get("required", ())) != set(properties):
            raise OpenSchemaError(f"{where}: not every key is required")
        total = Capacity(2 + max(0, len(properties) - 1), 0)
        for key, each in properties.items():
            total += Capacity(len(json.dumps(key)) + 1, 0)
            total += self.measure(each, f"{where}.{key}")
        return total

    def _array(self, schema: Schema, where: str) -> Capacity:
        most = schema.get("maxItems")
        if most is None:
            raise OpenSchemaError(f"{where}: an array without maxItems")
        if "prefixItems" in schema:
            fixed = schema["prefixItems"]
            if not most == schema.get("minItems") == len(fixed):
                raise OpenSchemaError(f"{where}: items beyond prefixItems")
            items = [self.measure(each, f"{where}[]") for each in fixed]
            return sum(items, Capacity(2 + max(0, most - 1), 0))
        if "items" not in schema:
            raise OpenSchemaError(f"{where}: an array without items")
        item = self.measure(schema["items"], f"{where}[]")
        kinds = 2**item.bits
        lengths = range(schema.get("minItems", 0), most + 1)
        if schema.get("uniqueItems"):
            # The models also fix the order: count subsets.
            ways = sum(comb(round(kinds), length) for length in lengths)
        else:
            ways = sum(round(kinds) ** length for length in lengths)
        return Capacity(2 + most * item.bytes + max(0, most - 1), log2(ways))


def _choice(values: list[Any]) -> Capacity:
    return Capacity(max(len(json.dumps(value)) for value in values), log2(len(values)))


def _any(options: list[Capacity]) -> Capacity:
    return Capacity(
        max(option.bytes for option in options), log2(sum(2**option.bits for option in options))
    )


def _integer(schema: Schema, where: str) -> Capacity:
    if "minimum" not in schema or "maximum" not in schema:
        raise OpenSchemaError(f"{where}: a number without minimum and maximum")
    low, high, step = schema["minimum"], schema["maximum"], schema.get("multipleOf", 1)
    values = high // step - -(-low // step) + 1
    return Capacity(max(len(str(low)), len(str(high))), log2(values))


def _string(schema: Schema, where: str) -> Capacity:
    pattern = schema.get("pattern", "")
    if "maxLength" not in schema or not (pattern.startswith("^") and pattern.endswith("$")):
        raise OpenSchemaError(f"{where}: a string without maxLength and an anchored pattern")
    bits, body, at = 0.0, pattern[1:-1], 0
    while at < len(body):
        piece = _PIECE.match(body, at)
        if piece is None:
            raise OpenSchemaError(f"{where}: the pattern {pattern} is not a plain sequence")
        fewest, _, most = (piece["count"] or "1").partition(",")
        letters = len(_letters(piece["set"])) if piece["set"] else 1
        bits += log2(sum(letters**n for n in range(int(fewest), int(most or fewest) + 1)))
        at = piece.end()
    return Capacity(schema["maxLength"] + 2, bits)


def _letters(group: str) -> set[str]:
    """The characters of a class such as `0-9a-f`."""
    letters: set[str] = set()
    for first, last in re.findall(r"(.)(?:-(.))?", group):
        letters.update(map(chr, range(ord(first), ord(last or first) + 1)))
    return letters


def per_day(message: Capacity, messages: float) -> int:
    """Upper bound on the bytes carried by `messages` a day."""
    return ceil(message.bits * messages / 8)
