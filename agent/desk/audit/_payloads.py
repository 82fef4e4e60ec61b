"""Validation of the payloads that uplink publishes: closed schema, canonical form, and every value
that can be computed.

What is left are the measured numbers of the schemas, whose capacity `tools.capacity` prints.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Callable
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match
from pydantic import ValidationError

from agent import __version__
from agent.base.report import (
    ClosedModel,
    Event,
    Health,
    HeardReported,
    Meta,
    Privacy,
    Receipt,
    Reported,
    Summary,
    to_json,
)
from agent.base.schemas.capacity import capacity
from agent.base.schemas.registry import HEARING, MESSAGES, in_use, joint_hash, load
from agent.desk.audit._truth import Truth, utc_offset
from agent.uplink.receipt.book import ZEROS, units_hash
from agent.uplink.receipt.continuity import digest
from agent.uplink.settings import in_force

STATES = (b"online", b"offline")
_SCHEMAS = {name.rpartition("-")[0]: name for name in MESSAGES}
"""By kind of message, of a device that neither hears nor reads."""
_MAX_CLOCK_STEP = 120.0
"""Seconds by which the epoch of a birth certificate may differ from the clock now."""


@functools.cache
def _validators() -> dict[str, Draft202012Validator]:
    """By name. Raises `OpenSchemaError` for a schema without bounds."""
    found = {}
    for name in in_use(True):
        schema = load(name)
        capacity(schema)
        found[name] = Draft202012Validator(schema)
    return found


def problem(kind: str, body: bytes, listens: bool = False) -> str | None:
    """Why `body` is no valid message of this kind, else None. `listens`: the device's microphone or
    words are on.

    Checks the schema, the model's further constraints, such as the order of flags, and the
    canonical form: the model must serialise to the same bytes.
    """
    try:
        error = best_match(_validators()[_schema(kind, listens)].iter_errors(json.loads(body)))
        if error is not None:
            what = error.message  # begins with the value, of any length
            what = what if len(what) <= 200 else f"{what[:100]} … {what[-80:]}"
            return f"{error.json_path}: {what}"
        same = to_json(_model(kind, listens).model_validate_json(body)) == body
    except RecursionError:
        return "it is nested too deeply"
    except ValidationError as wrong:
        return str(wrong.errors()[0]["msg"])
    except ValueError as wrong:
        return f"it is no JSON: {wrong}"
    return None if same else "it is not written in the one form that messages have"


def _schema(kind: str, listens: bool) -> str:
    return f"{kind}-2" if listens and f"{kind}-2" in HEARING else _SCHEMAS[kind]


def _model(kind: str, listens: bool) -> type[ClosedModel]:
    return in_use(listens)[_schema(kind, listens)]


class PayloadCheck:
    """Compares the messages of one run with what is known of it."""

    def __init__(self, truth: Truth) -> None:
        self._truth = truth
        self._offsets: dict[int, int] = {}
        """Window's start by position in the ledger."""
        self._event_boots: set[str] = {truth.boot} if truth.boot else set()
        self._events: dict[int, bytes] = {}
        """Events by number."""
        self._receipts: list[bytes] = []
        self._receipted = 0
        """Summaries that the receipts so far have covered."""
        self._constants: dict[str, object] = {}

    def __call__(self, kind: str, body: bytes) -> str | None:
        """What is wrong with a message of this kind, else None."""
        listens = self._truth.policy.listens
        wrong = problem(kind, body, listens)
        checks: dict[str, Callable[[Any, bytes], str | None]] = {
            "summary": self._summary, "meta": self._meta, "health": self._health,
            "event": self._event, "receipt": self._receipt, "reported": self._reported,
        }  # fmt: skip
        if wrong is not None:
            return wrong
        if kind not in checks:
            return "nothing was asked that this could answer"
        return checks[kind](_model(kind, listens).model_validate_json(body), body)

    def _same(self, name: str, value: object) -> bool:
        """Whether a value that a run does not change is as it was first."""
        return self._constants.setdefault(name, value) == value

    def _summary(self, message: Summary, body: bytes) -> str | None:
        truth, policy = self._truth, self._truth.policy
        position = truth.ledger.get(hashlib.sha256(body).hexdigest())
        if position is None:
            return "it is not in the ledger"
        window = message.window
        wrong = _unlike(
            message,
            {
                "boot": truth.boot,
                "seq": position,
                "slot": 0,
                "model": truth.model and truth.model[:8],
                "policy": policy.name,
                "policy_hash": policy.hash[:8],
                "privacy": Privacy(
                    mechanism="discrete_laplace" if policy.noised else "none",
                    epsilon_milli=policy.epsilon_milli,
                    k=policy.k,
                ),
            },
        )
        wrong = wrong or _unlike(window, {"length": policy.window})
        if window.start is not None:
            wrong = wrong or "its window has a wall time, which a file does not"
        if wrong or window.offset is None:
            return wrong
        self._offsets[position] = window.offset
        before, after = self._offsets.get(position - 1), self._offsets.get(position + 1)
        if (before is not None and before >= window.offset) or (
            after is not None and after <= window.offset
        ):
            return "its window does not follow the one before"
        return None

    def _meta(self, message: Meta, body: bytes) -> str | None:
        truth, policy, birth = self._truth, self._truth.policy, message.birth
        wrong = _unlike(
            birth,
            {
                "boot": truth.boot,
                "software": __version__,
                "model": truth.model,
                "policy": policy.name,
                "policy_hash": policy.hash,
                "settings": 0,
                "k": policy.k,
                "window": policy.window,
                "cage": truth.birth and truth.birth.cage,
            },
        )
        wrong = wrong or _unlike(message, {"key": truth.key, "schemas": joint_hash(policy.listens)})
        if wrong is None and not self._same("uplink", message.uplink):
            wrong = "what uplink says of its walls has changed"
        if message.receipt is not None and message.receipt.sha256 != truth.receipt:
            wrong = wrong or "its receipt is not the last one"
        known = birth.epoch is None or abs(birth.epoch - utc_offset()) <= _MAX_CLOCK_STEP
        return wrong if known or truth.span is None else wrong or "its epoch is not the clock's"

    def _health(self, message: Health, body: bytes) -> str | None:
        truth = self._truth
        if message.boot not in (None, truth.boot) and truth.boot:
            return f"its boot {message.boot} is not {truth.boot}"
        if truth.span and message.trimmed > truth.trimmed:
            return f"{message.trimmed} messages were dropped, by the outbox {truth.trimmed}"
        return None

    def _event(self, message: Event, body: bytes) -> str | None:
        truth = self._truth
        self._event_boots.add(message.boot)
        if len(self._event_boots) > 2:
            return "more than two processes have events"
        if self._events.setdefault(message.seq, body) != body:
            return f"another event has the number {message.seq} too"
        if message.seq >= len(self._events):
            return f"event number {message.seq} where {len(self._events) - 1} follows"
        if not truth.is_monotonic(message.offset) or not (
            message.at is None or truth.is_utc(message.at, _MAX_CLOCK_STEP)
        ):
            return "its time is not that of this run"
        return None

    def _reported(self, message: Reported, body: bytes) -> str | None:
        listens = self._truth.policy.listens
        form = HeardReported if listens else Reported
        config = in_force(self._truth.config, listens)
        honest = form(version=0, defaults=0, config=config, rejected=())  # type: ignore[arg-type]
        return _unlike(message, dict(honest))

    def _receipt(self, message: Receipt, body: bytes) -> str | None:
        if body in self._receipts:
            return None
        truth, statement = self._truth, message.statement
        try:
            public = Ed25519PublicKey.from_public_bytes(bytes.fromhex(statement.key))
            public.verify(bytes.fromhex(message.signature), to_json(statement))
        except (InvalidSignature, ValueError):
            return "its signature is wrong"
        hashes = list(truth.ledger)[self._receipted :][: statement.summaries]
        previous = self._receipts[-1] if self._receipts else None
        wrong = _unlike(
            statement,
            {
                "number": len(self._receipts) + 1,
                "outbox": "same" if previous else "new",
                "previous": hashlib.sha256(previous).hexdigest() if previous else ZEROS,
                "digest": digest(hashes),
                # null in a receipt that is signed before perception has begun
                "model": statement.model and truth.model,
                "policy": statement.policy and truth.policy.hash,
                "schemas": joint_hash(truth.policy.listens),
                "key": truth.key,
            },
        )
        if wrong is None and statement.units != units_hash():
            wrong = "units is not the hash of this machine's"
        if wrong is None and not all(
            each is None or truth.is_utc(each, _MAX_CLOCK_STEP)
            for each in (statement.start, statement.end)
        ):
            wrong = "its time is not that of this run"
        self._receipts.append(body)
        self._receipted += len(hashes)
        return wrong


def _unlike(message: ClosedModel, honest: dict[str, object]) -> str | None:
    """The first field that is not as it must be; a value of None is unknown, and not compared."""
    for name, value in honest.items():
        given = getattr(message, name)
        if value is not None and given != value:
            return f"{name} is {str(given)[:60]!r}, not {str(value)[:60]!r}"
    return None
