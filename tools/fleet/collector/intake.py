"""Is this a message of ours? Everything that arrives is hostile until it has passed here."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import ValidationError

from agent.base.report import (
    ClosedModel,
    Event,
    Health,
    Receipt,
    Summary,
    summary_form,
    to_json,
)

Kind = Literal["summary", "event", "receipt", "health"]
KINDS: dict[str, type[ClosedModel]] = {
    "summary": Summary,
    "event": Event,
    "receipt": Receipt,
    "health": Health,
}
"""Messages that are collected, by the last level of their topic."""
MAX_BYTES = 4096
"""Of a body; a device's broker lets no longer packet through."""
Reason = Literal["topic", "size", "json", "fields", "not_canonical", "conflict", "unstorable"]
"""Why a message is quarantined: no topic that is collected, or no device's id in it; too long; not
JSON; not what its model says; other bytes than its model's one form; other bytes than those stored
under the same number; refused by the database."""
_TOPIC = re.compile(r"fleeting/1/d/([A-Za-z0-9_-]{1,64})/(summary|event|receipt|health)")


@dataclass(frozen=True, slots=True)
class Incoming:
    """A message as it came."""

    topic: str | None
    """None: not UTF-8."""
    body: bytes
    received: int
    """Unix seconds."""
    token: Any = None
    """What acknowledges it; None: nothing does."""


@dataclass(frozen=True, slots=True)
class Message:
    """A message that is what it must be."""

    device: str
    kind: Kind
    content: Any
    """Its model: `Summary`, `Event`, `Receipt` or `Health`."""
    sha256: str
    origin: Incoming


@dataclass(frozen=True, slots=True)
class Refusal:
    """A message that is not."""

    device: str
    """Empty where the topic names none."""
    reason: Reason
    origin: Incoming


def examine(incoming: Incoming) -> Message | Refusal:
    """Never raises, whatever arrives."""
    match = _TOPIC.fullmatch(incoming.topic or "")
    if match is None:
        return Refusal("", "topic", incoming)
    device, kind = match[1], match[2]
    body = incoming.body
    if len(body) > MAX_BYTES:
        return Refusal(device, "size", incoming)
    model = summary_form(body) if kind == "summary" else KINDS[kind]
    try:
        content = model.model_validate_json(body)
        canonical = to_json(content) == body
    except ValidationError as error:
        malformed = any(each["type"] == "json_invalid" for each in error.errors(include_url=False))
        return Refusal(device, "json" if malformed else "fields", incoming)
    except (ValueError, RecursionError):
        return Refusal(device, "fields", incoming)
    if not canonical:
        return Refusal(device, "not_canonical", incoming)
    return Message(
        device,
        kind,  # type: ignore[arg-type]  # by the pattern
        content,
        hashlib.sha256(body).hexdigest(),
        incoming,
    )
