"""Asking until there is an answer, over as many connections as it takes."""

from __future__ import annotations

import hashlib
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from agent.base.config import MqttConfig
from agent.base.errors import PublishError
from agent.base.report import from_json, to_json
from agent.uplink.enrol.errors import EnrolError, WaitingError
from agent.uplink.enrol.identity import Pair, Pending
from agent.uplink.enrol.link import AwayError, DatesError, Link
from agent.uplink.enrol.messages import (
    MAX_BYTES,
    Answer,
    Request,
    answer_topic,
    encode,
    fingerprint,
    request_topic,
    vouched,
)
from agent.uplink.resolver.lookup import Lookup

NO_CLOCK = (
    "This machine's clock is not set (no NTP, no battery-backed clock), so that no certificate's "
    "dates can be judged here"
)
_REPEAT = 60.0
"""Seconds after which a request is published again: the fleet's side may only now be listening."""
_PAUSES = (2.0, 60.0)
"""Seconds before the next attempt to connect: at first, and at most."""


@dataclass(frozen=True, slots=True)
class Means:
    """What a conversation needs of the outside."""

    wait: float | None
    """Seconds until `WaitingError`; None: for ever."""
    clock: Callable[[], float | None]
    """UTC seconds, None while the clock is not trusted."""
    say: Callable[[str], None]
    sleep: Callable[[float], None]


def ask(
    device: str,
    settings: MqttConfig,
    pending: Pending,
    voucher: Pair,
    means: Means,
    *,
    renewing: bool,
) -> Answer:
    """The fleet's answer to this very request, not yet examined. Raises `EnrolError`;
    `WaitingError` where there is none in time."""
    deadline = None if means.wait is None else time.monotonic() + means.wait
    question = _Question(
        request_topic(device, renewal=renewing),
        answer_topic(device),
        _request(device, pending, voucher),
        hashlib.sha256(pending.der).hexdigest(),
    )
    progress = _Progress(means.say)
    lookup, pause = Lookup(settings.host), _PAUSES[0]
    try:
        while True:
            try:
                with Link(settings, device, lookup.addresses()) as link:
                    pause = _PAUSES[0]
                    found = _converse(link, question, deadline, progress)
                    if found is not None:
                        return found
            except (AwayError, PublishError) as error:
                progress.note(str(error))
            except DatesError as error:
                if means.clock() is not None:
                    raise EnrolError(f"{error} Have the broker's certificate renewed.") from None
                progress.note(f"{error} {NO_CLOCK}: waiting for it.")
            left = pause if deadline is None else deadline - time.monotonic()
            if left <= 0:
                raise WaitingError(
                    "There is no answer yet. Run the same command again: it goes on with the same "
                    f"key, {fingerprint(pending.key.public_key())}."
                )
            means.sleep(min(pause, left))
            pause = min(2 * pause, _PAUSES[1])
            if lookup.lost:
                lookup.close()
                lookup = Lookup(settings.host)
    finally:
        progress.end()
        lookup.close()


@dataclass(frozen=True, slots=True)
class _Question:
    topic: str
    answered_at: str
    body: bytes
    number: str
    """SHA-256 of the request."""


def _converse(
    link: Link, question: _Question, deadline: float | None, progress: _Progress
) -> Answer | None:
    """One connection's worth; None where time ran out."""
    link.subscribe(question.answered_at)
    repeat = 0.0
    while deadline is None or time.monotonic() < deadline:
        if time.monotonic() >= repeat:
            link.publish(question.topic, question.body)
            repeat = time.monotonic() + _REPEAT
        body = link.receive(0.5)
        answer = _read(body) if body else None
        if answer is not None and answer.request == question.number:
            link.publish(question.topic, b"")  # nobody need look at it again
            return answer
        progress.tick()
    return None


def _request(device: str, pending: Pending, voucher: Pair) -> bytes:
    proof = voucher.key.sign(vouched(device, pending.der), ec.ECDSA(hashes.SHA256()))
    certificate = voucher.certificate.public_bytes(Encoding.DER)
    return to_json(
        Request(csr=encode(pending.der), certificate=encode(certificate), proof=encode(proof))
    )


def _read(body: bytes) -> Answer:
    """Raises `EnrolError`."""
    found = from_json(Answer, body) if len(body) <= MAX_BYTES else None
    if found is None:
        raise EnrolError(
            "What came as an answer is none. Whoever runs the broker or the fleet should look into "
            "it; nothing was installed."
        )
    return found


class _Progress:
    """A line that moves on a terminal, and now and then one that stays elsewhere."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._begun = self._next = time.monotonic()
        self._moving = sys.stderr.isatty()
        self._open = False
        self._last = ""

    def tick(self) -> None:
        waited = int(time.monotonic() - self._begun)
        if self._moving:
            print(f"\rwaiting for approval, {waited} s ", end="", file=sys.stderr, flush=True)
            self._open = True
        elif time.monotonic() >= self._next:
            self._say(f"waiting for approval, {waited} s")
            self._next = time.monotonic() + 60.0

    def note(self, text: str) -> None:
        self.end()
        if text != self._last:
            self._say(text)
        self._last = text

    def end(self) -> None:
        if self._open:
            print(file=sys.stderr)
        self._open = False
