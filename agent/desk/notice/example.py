"""Messages as they could look under the running policy, made from the schemas. All invented."""

from __future__ import annotations

import re
from typing import Any, get_args

from agent import __version__
from agent.base.vocabulary import Cell
from agent.privacy.policy.rules import Policy

Schema = dict[str, Any]

_COUNTS: dict[str, dict[str, int]] = {
    "expression": {
        "neutral": 19, "happiness": 11, "surprise": 3, "sadness": 1, "anger": -1, "disgust": 0,
        "fear": 2, "contempt": 0, "unsure": 6,
    },
    "valence": {"sum": 640, "clip": 100},
    "arousal": {"sum": 310, "clip": 100},
    "attention": {"under_1": 9, "from_1_to_5": 14, "from_5_to_15": 11, "over_15": 5},
    "dwell": {
        "under_5": 8, "from_5_to_15": 13, "from_15_to_30": 9, "from_30_to_60": 6, "over_60": 3,
    },
    "micro": {
        "positive": 2, "negative": 1, "surprise": 0, "unspecified": 1, "analysable_visits": 24,
        "analysable_seconds": 410, "expected_false_alarms_tenths": 5,
    },
}  # fmt: skip
_NOON = 1_780_315_200
"""A day at 12:00 UTC."""


def example(name: str, schema: Schema, policy: Policy) -> dict[str, Any]:
    """A valid message of this schema (`agent.base.schemas.registry.MESSAGES`)."""
    message: dict[str, Any] = _any(schema, schema.get("$defs", {}), "")
    if name == "summary-1":
        message |= _summary(policy)
    if name == "meta-1":
        message["birth"] |= {"policy": policy.name, "policy_hash": policy.hash,
                             "k": policy.k, "window": policy.window}  # fmt: skip
    return message


def _summary(policy: Policy) -> dict[str, Any]:
    cells: dict[str, Any] = {cell: _COUNTS.get(cell) for cell in get_args(Cell)}
    cells |= {cell: None for cell in get_args(Cell) if cell not in policy.cells}
    cells["visits"] = 39
    gone = [
        {"cell": cell, "reason": "no_microphone" if cell == "tone" else "policy"}
        for cell, value in cells.items()
        if value is None
    ]
    return cells | {
        "window": {"start": _NOON, "offset": None, "length": policy.window, "clock": "ntp",
                   "merged": 0},
        "withheld": gone,
        "privacy": {
            "unit": "visit",
            "mechanism": "discrete_laplace" if policy.noised else "none",
            "epsilon_milli": policy.epsilon_milli,
            "k": policy.k,
        },
        "quality": {"fps": 30, "usable": 100, "flags": []},
        "policy": policy.name,
        "policy_hash": policy.hash[:8],
    }  # fmt: skip


def _any(schema: Schema, definitions: dict[str, Schema], key: str) -> Any:
    if "$ref" in schema:
        return _any(definitions[schema["$ref"].removeprefix("#/$defs/")], definitions, key)
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return schema["enum"][0]
    if "anyOf" in schema:
        return _any(schema["anyOf"][0], definitions, key)
    kind = schema["type"]
    if kind == "object":
        return {name: _any(each, definitions, name) for name, each in schema["properties"].items()}
    if kind == "integer":
        low, step = schema["minimum"], schema.get("multipleOf", 1)
        wanted = _NOON if low > 1_000_000_000 else 7 * step
        return min(max(wanted, low), schema["maximum"])
    return {"array": [], "boolean": True, "null": None}.get(kind, _text(schema, key))


def _text(schema: Schema, key: str) -> str:
    """A string of the pattern's length, the same for the same key."""
    digits = re.fullmatch(r"\^\[0-9a-f\]\{(\d+)\}\$", schema.get("pattern", ""))
    if not digits:
        return __version__
    mark = sum(ord(letter) * (place + 1) for place, letter in enumerate(key))
    return "".join(f"{(mark * (place + 3)) ** 2 % 251:02x}" for place in range(64))[
        : int(digits[1])
    ]
