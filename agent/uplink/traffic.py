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


class InFlight:
    """What was sent over one connection and has no answer yet, and what became of the rest."""

    def __init__(self) -> None:
        self._sent: dict[int, Sent] = {}
        """By packet identifier."""
        self._acknowledged: list[tuple[int, int]] = []
        self._untagged = (0, 0)
        self._longest = 0
        """Bytes of the longest packet sent."""

    def __len__(self) -> int:
        return len(self._sent)

    @property
    def pending(self) -> int:
        """Bytes of the longest packet that has no answer, of the longest sent if all have."""
        return max((each.packet for each in self._sent.values()), default=self._longest)

    @property
    def oldest(self) -> float | None:
        """When what has waited longest was sent, monotonic seconds; None: nothing waits."""
        return min((each.at for each in self._sent.values()), default=None)

    def send(self, number: int, sent: Sent, *, answered: bool) -> None:
        """A message went out; `answered`: the broker will acknowledge it."""
        self._longest = max(self._longest, sent.packet)
        if answered:
            self._sent[number] = sent
        else:
            self._count(sent)

    def answer(self, number: int) -> Sent | None:
        """What the broker's answer is about; None: nothing that waits for one."""
        return self._sent.pop(number, None)

    def settle(self, sent: Sent, code: int) -> None:
        """The row of a tagged message is done with, for this reason code."""
        if sent.tag is not None:
            self._acknowledged.append((sent.tag, code))

    def deliver(self, sent: Sent, code: int) -> None:
        """A message arrived."""
        if sent.tag is None:
            self._count(sent)
        else:
            self.settle(sent, code)

    def drain_acknowledged(self) -> list[tuple[int, int]]:
        """Tags of the messages that were settled since the last call, with their reason codes."""
        drained, self._acknowledged = self._acknowledged, []
        return drained

    def drain_untagged(self) -> tuple[int, int]:
        """Number and bytes of the delivered messages without a tag since the last call."""
        drained, self._untagged = self._untagged, (0, 0)
        return drained

    def _count(self, sent: Sent) -> None:
        messages, total = self._untagged
        self._untagged = messages + 1, total + sent.size
