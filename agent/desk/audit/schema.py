"""The part of JSON Schema (draft 2020-12) that closed messages use; anything else is an error.

A second opinion, beside the models in `agent.base.report` that made the schemas.
"""

from __future__ import annotations

import json
import re
from typing import Any

Schema = dict[str, Any]

_SILENT = {"$schema", "$id", "$defs", "title", "description", "default"}
_KNOWN = _SILENT | {
    "$ref", "const", "enum", "anyOf", "type", "minimum", "maximum", "pattern", "minLength",
    "maxLength", "items", "prefixItems", "minItems", "maxItems", "uniqueItems", "properties",
    "required", "additionalProperties", "multipleOf",
}  # fmt: skip
_TYPES: dict[str, type] = {
    "null": type(None), "boolean": bool, "integer": int, "string": str, "array": list,
    "object": dict,
}  # fmt: skip


def problem(schema: Schema, body: bytes) -> str | None:
    """Why `body` is not exactly what the schema allows, in the one byte form that messages have
    (UTF-8, compact, keys in the schema's order); None where it is."""
    try:
        message = json.loads(body, parse_constant=_refuse, object_pairs_hook=_once)
    except RecursionError:
        return "it is nested too deeply"
    except ValueError as error:
        return f"it is no JSON: {error}"
    found = _check(schema, message, schema.get("$defs", {}), "message")
    if found is None and json.dumps(message, separators=(",", ":"), ensure_ascii=False) != (
        body.decode()
    ):
        return "it is not written in the one form that messages have"
    return found


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is no number")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({key for key, _ in pairs}) < len(pairs):
        raise ValueError("a key stands twice")
    return dict(pairs)


def _check(schema: Schema, value: Any, definitions: Schema, where: str) -> str | None:
    unknown = set(schema) - _KNOWN
    if unknown:
        return f"{where}: the schema uses {', '.join(sorted(unknown))}, which nobody here can check"
    if "$ref" in schema:
        target = definitions.get(str(schema["$ref"]).removeprefix("#/$defs/"))
        if target is None:
            return f"{where}: {schema['$ref']} is not in the schema"
        return _check(target, value, definitions, where)
    if "anyOf" in schema:
        problems = [_check(each, value, definitions, where) for each in schema["anyOf"]]
        return None if None in problems else problems[0]
    if "const" in schema:
        return None if _same(value, schema["const"]) else f"{where}: not {schema['const']!r}"
    if "enum" in schema:
        allowed = any(_same(value, each) for each in schema["enum"])
        return None if allowed else f"{where}: {_short(value)} is none of the allowed values"
    kind = str(schema.get("type"))
    truth = isinstance(value, bool) and kind != "boolean"
    if truth or not isinstance(value, _TYPES.get(kind, type(None))):
        return f"{where}: {_short(value)} is no {kind}"
    if kind == "integer":
        inside = _bounded(schema) and schema["minimum"] <= value <= schema["maximum"]
        inside = inside and value % schema.get("multipleOf", 1) == 0
        return None if inside else f"{where}: {_short(value)} is out of bounds"
    if kind == "string":
        return _string(schema, value, where)
    if kind == "array":
        return _array(schema, value, definitions, where)
    return _object(schema, value, definitions, where) if kind == "object" else None


def _bounded(schema: Schema) -> bool:
    return "minimum" in schema and "maximum" in schema


def _string(schema: Schema, value: Any, where: str) -> str | None:
    short = schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", -1)
    if not short or not re.fullmatch(schema.get("pattern", "$^"), value):
        return f"{where}: the text {_short(value)} is not allowed"
    return None


def _array(schema: Schema, value: Any, definitions: Schema, where: str) -> str | None:
    fewest, most = schema.get("minItems", 0), schema.get("maxItems", -1)
    if not fewest <= len(value) <= most:
        return f"{where}: an array of {len(value)} where at most {most} are allowed"
    if schema.get("uniqueItems"):
        seen = {json.dumps(each) for each in value}
        if len(seen) < len(value):
            return f"{where}: an item stands twice"
    fixed = schema.get("prefixItems", [])
    for place, each in enumerate(value):
        item = fixed[place] if place < len(fixed) else schema.get("items")
        if item is None:
            return f"{where}: an item too many"
        found = _check(item, each, definitions, f"{where}[{place}]")
        if found:
            return found
    return None


def _object(schema: Schema, value: Any, definitions: Schema, where: str) -> str | None:
    properties = schema.get("properties", {})
    extra = [key for key in value if key not in properties]
    missing = [key for key in schema.get("required", ()) if key not in value]
    if extra or missing:
        return f"{where}: " + "; ".join(
            [f"unknown key {_short(key)}" for key in extra[:3]]
            + [f"{key} is missing" for key in missing[:3]]
        )
    if list(value) != [key for key in properties if key in value]:
        return f"{where}: keys are not in the schema's order"
    for key, each in value.items():
        found = _check(properties[key], each, definitions, f"{where}.{key}")
        if found:
            return found
    return None


def _same(value: Any, other: Any) -> bool:
    return type(value) is type(other) and bool(value == other)


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 40 else f"{text[:36]}…"
