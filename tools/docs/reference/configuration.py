"""Every key of the configuration, from its model."""

from __future__ import annotations

import json
from typing import Any

from agent.base.config import AgentConfig, remote_fields
from tools.docs import markdown


def page() -> str:
    """Markdown: a section for each `[section]`, a row for each key."""
    schema = AgentConfig.model_json_schema()
    shared = schema["$defs"]
    alone = {}
    out = []
    for name, raw in schema["properties"].items():
        inner = _resolved(raw, shared)
        if inner.get("type") == "object":
            out.append(_section(name, inner, shared))
        else:
            alone[name] = raw
    head = "## Outside of sections {#section-}\n\n" + _table("", alone, shared)
    return "\n".join([head, *out])


def keys() -> list[str]:
    """Every key by its path, such as `privacy.k`."""
    schema = AgentConfig.model_json_schema()
    found = []
    for name, raw in schema["properties"].items():
        inner = _resolved(raw, schema["$defs"])
        below = inner["properties"] if inner.get("type") == "object" else None
        found += [f"{name}.{key}" for key in below] if below else [name]
    return found


def _section(name: str, schema: dict[str, Any], shared: dict[str, Any]) -> str:
    about = " ".join(schema.get("description", "").split())
    table = _table(f"{name}.", schema["properties"], shared)
    return f"## `[{name}]` {{#section-{name}}}\n\n{about}\n\n{table}"


def _table(prefix: str, fields: dict[str, Any], shared: dict[str, Any]) -> str:
    remote = remote_fields()
    rows = []
    for key, raw in fields.items():
        path = prefix + key
        fleet = " *A fleet may make it stricter.*" if path in remote else ""
        about = " ".join(raw.get("description", "").split())
        rows.append([
            f'<a id="key-{path}" href="#key-{path}" class="here">#</a>&nbsp;{markdown.code(path)}',
            _values(raw, shared),
            _default(raw, shared),
            about + fleet,
        ])  # fmt: skip
    return markdown.table(["key", "values", "default", "meaning"], rows)


def _resolved(schema: dict[str, Any], shared: dict[str, Any]) -> dict[str, Any]:
    if "$ref" not in schema:
        return schema
    return {
        **shared[schema["$ref"].rpartition("/")[2]],
        **{k: schema[k] for k in schema if k != "$ref"},
    }


def _values(schema: dict[str, Any], shared: dict[str, Any]) -> str:
    """Kind and bounds, in words."""
    schema = _resolved(schema, shared)
    if "anyOf" in schema:
        parts = [_values(each, shared) for each in schema["anyOf"]]
        return ", or ".join(part for part in parts if part != "unset") + (
            ", or unset" if "unset" in parts else ""
        )
    if "enum" in schema:
        return " ".join(markdown.code(json.dumps(each)) for each in schema["enum"])
    if "const" in schema:
        return markdown.code(json.dumps(schema["const"]))
    kind = schema.get("type")
    if kind == "null":
        return "unset"
    if kind == "array":
        most = schema.get("maxItems")
        inside = _values(schema.get("items", {}), shared)
        return f"a list of{f' at most {most}' if most else ''}: {inside}" if inside else "a list"
    if kind in ("number", "integer"):
        low = schema.get("minimum", schema.get("exclusiveMinimum"))
        high = schema.get("maximum", schema.get("exclusiveMaximum"))
        what = "number" if kind == "number" else "whole number"
        if low is None or high is None:
            return what
        return f"{what}, {low:,g} to {high:,g}"
    if kind == "string":
        if schema.get("format") in ("path", "file-path"):
            return "path"
        most = schema.get("maxLength")
        return f"text of at most {most} characters" if most else "text"
    return {"boolean": "`true` `false`"}.get(str(kind), "")


def _default(schema: dict[str, Any], shared: dict[str, Any]) -> str:
    value = _resolved(schema, shared).get("default")
    return "unset" if value is None else markdown.code(json.dumps(value))
