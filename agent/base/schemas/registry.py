"""The JSON Schema of each message, generated from its model."""

from __future__ import annotations

import functools
import hashlib
import json
from importlib.resources import files
from typing import Any

from agent.base.report import (
    ClosedModel,
    Event,
    Health,
    HeardReported,
    HeardSummary,
    Job,
    JobExecution,
    Meta,
    Receipt,
    Reported,
    Response,
    Summary,
)

MESSAGES: dict[str, type[ClosedModel]] = {
    "summary-1": Summary,
    "meta-1": Meta,
    "health-1": Health,
    "event-1": Event,
    "receipt-1": Receipt,
    "reported-1": Reported,
    "response-1": Response,
    "job-1": JobExecution,
}
"""Model by schema file name without suffix. The only other message is `state`: `online` or
`offline`."""
HEARING: dict[str, type[ClosedModel]] = {"summary-2": HeardSummary, "reported-2": HeardReported}
"""Those that only a device sends whose site switches microphone or words on. Where its fleet
switches both off it sends summaries of the first form again."""


INBOUND: dict[str, type[ClosedModel]] = {"job-next-1": Job}
"""What a fleet says to a device, for whoever writes it; the hash that a device states is not over
them."""


def in_use(hearing: bool) -> dict[str, type[ClosedModel]]:
    """The messages of a device; `hearing`: its site switches microphone or words on."""
    return MESSAGES | HEARING if hearing else MESSAGES


def urn(name: str) -> str:
    """`summary-1` -> `urn:fleeting:summary:1`."""
    message, version = name.rsplit("-", 1)
    return f"urn:fleeting:{message}:{version}"


def build(name: str) -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of a message, from its model."""
    schema = (in_use(True) | INBOUND)[name].model_json_schema(mode="serialization")
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": urn(name)}
    return head | schema


def text(name: str) -> str:
    """A schema's file content."""
    return json.dumps(build(name), indent=2) + "\n"


def load(name: str) -> dict[str, Any]:
    """The packaged schema."""
    schema: dict[str, Any] = json.loads(files(__package__).joinpath(f"{name}.json").read_text())
    return schema


@functools.cache
def joint_hash(hearing: bool = False) -> str:
    """The first 16 hex digits of the SHA-256 over the schemas of a device's messages."""
    folder = files(__package__)
    digest = hashlib.sha256()
    for name in sorted(in_use(hearing)):
        digest.update(folder.joinpath(f"{name}.json").read_bytes())
    return digest.hexdigest()[:16]
