"""What `docs/refused.md` says is in no message and no model."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from agent.base.schemas import registry

MODELS = Path(__file__).parents[2] / "models"
WORDS = re.compile(
    r"(?i)(?<![a-z])(age|ages|gender|sex|male|female|ethnic\w*|race|origin|ident\w*|embedding"
    r"|descriptor|person\w*|honest\w*|lie|lies|decepti\w*|trust_?worth\w*|intent\w*|rank\w*"
    r"|pregnan\w*|health_of|iq)(?![a-z])"
)
ALLOWED = {"descriptor"}
"""Of a file, which the sandbox found open."""


def names(value: Any) -> Iterator[str]:
    """Names of fields, and constants that they may hold."""
    if isinstance(value, dict):
        yield from value.get("properties", ())
        yield from (each for each in value.get("enum", ()) if isinstance(each, str))
        if isinstance(value.get("const"), str):
            yield value["const"]
        for each in value.values():
            yield from names(each)
    elif isinstance(value, list):
        for each in value:
            yield from names(each)


def test_no_message_has_a_field_for_what_is_refused() -> None:
    messages = registry.MESSAGES | registry.HEARING
    found = {name for message in messages for name in names(registry.build(message))}
    assert len(found) > 100
    assert {name for name in found if WORDS.search(name.replace("_", " "))} <= ALLOWED


def test_no_model_has_an_output_for_what_is_refused() -> None:
    manifest = tomllib.loads((MODELS / "manifest.toml").read_text())
    outputs = {each["name"] for model in manifest["model"] for each in model["output"]}
    assert {"score_8", "action_units"} <= outputs
    assert not {name for name in outputs if WORDS.search(name.replace("_", " "))}
