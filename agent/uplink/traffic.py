"""What is on its way over a connection: messages received, and those without an acknowledgement."""

from __future__ import annotations

from dataclasses import dataclass

MAX_CORRELATION_BYTES = 64
"""Longer correlation data of a request is not returned."""


@dataclass(frozen=True, slots=True)
class Message:
    """An inbound message, not validated."""

    topic: str | None
    """None: not UTF-8."""
    payload: bytes
    retain: bool
    correlation: bytes | None = None


@dataclass(frozen=True, slots=True)
class Sent:
    """A message that is not acknowledged."""

    tag: int | None
    at: float
    size: int
    required: bool
    kind: str
    packet: int
    """Bytes of the packet."""
