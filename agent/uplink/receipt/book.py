"""Daily signed receipts of everything published, linked in a hash chain."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import logging
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from agent.base.config import AgentConfig
from agent.base.device_time import machine_start
from agent.base.files import read_regular_file, remove_leftovers, write_atomically
from agent.base.repeats import Seldom
from agent.base.report import (
    Birth,
    LastReceipt,
    OutboxState,
    Receipt,
    Statement,
    from_json,
    to_json,
)
from agent.base.schemas.registry import joint_hash
from agent.privacy.policy.rules import resolve
from agent.uplink.receipt.continuity import Seen, after_receipt, digest, look
from agent.uplink.receipt.due import Last, is_due
from agent.uplink.receipt.key import key_path, open_key, public_hex
from agent.wall.outbox import Outbox, ReceiptBasis, Release

log = logging.getLogger(__name__)

_CLEAR_DEVIATIONS = 3.0
"""Standard deviations of discrete Laplace noise (at most its scale times the root of 2), which a
sum exceeds by itself in less than one case in a hundred."""
ZEROS = 64 * "0"
"""`Statement.previous` of the first receipt of a chain."""
UNIT_FOLDERS = tuple(
    Path(folder, "systemd/system") for folder in ("/etc", "/run", "/usr/local/lib", "/usr/lib")
)
"""Unit search path of systemd (systemd.unit(5))."""
_UNIT_FILES = (
    "fleeting*.service", "fleeting*.target", "fleeting*.service.d/*.conf",
    "fleeting*.target.d/*.conf", "service.d/*.conf",
)  # fmt: skip
_MAX_UNIT_BYTES = 1_000_000
_MAX_NUMBER = 65_535
_MAX_COUNT = 100_000
_FIRST_UTC, _LAST_UTC = 1_700_000_000, 4_102_444_800


@dataclass(frozen=True, slots=True)
class _Checkpoint:
    """Stored beside the key, out of the perceive process's reach: the chain survives a damaged
    outbox, the elapsed time is known, and an outbox that lost or changed lines is found."""

    receipt: bytes
    """The last; empty: none yet."""
    machine: str
    monotonic: float
    """When it was signed."""
    seen: Seen


class ReceiptBook:
    """Creates the receipts; used by the uplink process."""

    def __init__(self, config: AgentConfig, outbox: Outbox) -> None:
        """Opens or creates the key. Raises `ConfigError`, `StoreError` (see `key.open_key`)."""
        path = key_path(config.store)
        self._outbox = outbox
        self._policy = resolve(config, live=False)
        self._key: Ed25519PrivateKey = open_key(path)
        self.public_key = public_hex(self._key)
        """64 hex digits, for `Meta.key`."""
        self._checkpoint_path = path.with_name(path.name + ".last")
        remove_leftovers(self._checkpoint_path)
        self._machine = machine_start()
        self._checkpoint = _read_checkpoint(self._checkpoint_path)
        self._own_checkpoint = False
        """Whether this process signed the receipt of the checkpoint."""
        self._started: float | None = None
        self._fault = Seldom()

    def tick(self, utc: float | None, monotonic: float) -> Receipt | None:
        """Sign and store a receipt if one is due; call about once a minute.

        `utc`: seconds, None while the clock is not trusted (`WallClock.utc`); `monotonic`: seconds.
        Raises `StoreError`; the call may be repeated.
        """
        if self._started is None:
            self._started = monotonic
        before = self._checkpoint.seen if self._checkpoint else None
        basis, seen = look(before, self._outbox.ledger, self._unremembered)
        previous = self._previous(basis)
        self._remember(seen, previous, monotonic)
        last = None if previous is None else self._last(previous, monotonic)
        if not is_due(last, utc, monotonic - self._started):
            return None
        receipt = self._sign(self._statement(basis, seen.state, previous, utc))
        self._outbox.ledger.add_receipt(receipt, basis)
        self._own_checkpoint = True
        self._save_checkpoint(
            _Checkpoint(to_json(receipt), self._machine, monotonic, after_receipt(basis, seen))
        )
        return receipt

    def last(self) -> LastReceipt | None:
        """The last receipt signed with this key, for `Meta.receipt`."""
        receipt = self._genuine(self._checkpoint.receipt) if self._checkpoint else None
        if receipt is None or receipt.statement.key != self.public_key:
            return None
        return LastReceipt(
            number=receipt.statement.number, sha256=hashlib.sha256(to_json(receipt)).hexdigest()
        )

    def _remember(self, seen: Seen, previous: Receipt | None, monotonic: float) -> None:
        """Store what was seen, if it is news, and say where lines are missing."""
        known = self._checkpoint
        before = known.seen.state if known else "new"
        if seen.state in ("reset", "altered") and seen.state != before:
            log.error("The outbox is %s; the next receipt says so.", seen.state)
            self._outbox.events.record("outbox_altered")
        body = to_json(previous) if previous else b""
        if known is None or known.receipt != body:  # when it was signed is not known
            self._save_checkpoint(_Checkpoint(body, "", monotonic, seen))
        elif known.seen != seen:
            self._save_checkpoint(dataclasses.replace(known, seen=seen))

    def _genuine(self, body: bytes | None) -> Receipt | None:
        """A receipt from an untrusted place; None for one that this key did not sign, although it
        says so."""
        receipt = _parse(body)
        if receipt is None or receipt.statement.key != self.public_key:
            return receipt
        try:
            signature = bytes.fromhex(receipt.signature)
            self._key.public_key().verify(signature, to_json(receipt.statement))
        except InvalidSignature:
            log.error("The last receipt in the outbox was not signed here; it is left aside.")
            return None
        return receipt

    def _unremembered(self, body: bytes | None) -> Statement | None:
        """The statement of a receipt that follows the one in the checkpoint."""
        stored = self._genuine(body)
        if stored is None or self._checkpoint is None or stored.statement.key != self.public_key:
            return None
        known = _parse(self._checkpoint.receipt)
        link = hashlib.sha256(to_json(known)).hexdigest() if known else ZEROS
        return stored.statement if stored.statement.previous == link else None

    def _previous(self, basis: ReceiptBasis) -> Receipt | None:
        """The newest receipt found in the outbox or the checkpoint."""
        remembered = self._checkpoint.receipt if self._checkpoint else None
        found = [
            each for each in map(self._genuine, (basis.previous, remembered)) if each is not None
        ]
        ours = [each for each in found if each.statement.key == self.public_key]
        if ours:
            return max(ours, key=lambda each: each.statement.number)
        return found[0] if found else None

    def _last(self, previous: Receipt, monotonic: float) -> Last:
        checkpoint, started = self._checkpoint, self._started or 0.0
        end = previous.statement.end
        if checkpoint is None or checkpoint.receipt != to_json(previous):
            return Last(end, None, monotonic - started)
        since = monotonic - checkpoint.monotonic
        known = self._machine != "" and checkpoint.machine != ""
        if self._own_checkpoint or (known and checkpoint.machine == self._machine):
            return Last(end, since, since)
        # After a reboot the clock's value is a lower bound; else the difference is.
        rebooted = known or started < checkpoint.monotonic
        return Last(end, None, monotonic if rebooted else since)

    def _statement(
        self, basis: ReceiptBasis, state: OutboxState, previous: Receipt | None, utc: float | None
    ) -> Statement:
        latest = self._outbox.latest.get(Birth)
        birth = latest[0] if latest else None
        chained = previous is not None and previous.statement.key == self.public_key
        if previous is not None and chained and previous.statement.number < _MAX_NUMBER:
            number = previous.statement.number + 1
            link = hashlib.sha256(to_json(previous)).hexdigest()
        else:
            number, link = 1, ZEROS
        withheld = [release.visits for release in basis.releases if release.withheld]
        return Statement(
            number=number,
            previous=link,
            start=previous.statement.end if previous else None,
            end=_utc_tens(utc),
            outbox=state,
            summaries=min(len(basis.releases), _MAX_COUNT),
            digest=digest(release.sha256 for release in basis.releases),
            messages=_bounded(basis.messages, 1_000_000),
            bytes=_bounded(basis.bytes, 1_000_000_000),
            epsilon_milli=_max_epsilon(basis.releases),
            windows_withheld=min(len(withheld), _MAX_COUNT),
            visits_withheld=_bounded(10 * round(self._withheld(withheld) / 10), _MAX_COUNT),
            model=birth.model if birth else None,
            policy=birth.policy_hash if birth else None,
            units=units_hash(),
            schemas=joint_hash(self._policy.listens),
            key=self.public_key,
        )

    def _withheld(self, visits: Sequence[int]) -> int:
        """The noised visits of withheld windows; 0 where noise alone could make so many, for an
        empty day is to say nothing."""
        total, policy = sum(visits), self._policy
        if not policy.noised:
            return total
        deviation = math.sqrt(2 * len(visits)) / float(policy.epsilon("visits"))
        return total if total > _CLEAR_DEVIATIONS * deviation else 0

    def _sign(self, statement: Statement) -> Receipt:
        return Receipt(statement=statement, signature=self._key.sign(to_json(statement)).hex())

    def _save_checkpoint(self, checkpoint: _Checkpoint) -> None:
        self._checkpoint = checkpoint
        try:
            _write_checkpoint(self._checkpoint_path, checkpoint)
            self._fault.over()
        except OSError as error:
            if self._fault():
                log.warning(
                    "%s cannot be written: %s. Receipts go on; after the next start their chain "
                    "shows a break, and should the outbox be lost as well, it begins anew.",
                    self._checkpoint_path, error.strerror,
                )  # fmt: skip


def units_hash(folders: Sequence[Path] = UNIT_FOLDERS) -> str | None:
    """The first 16 hex digits of the SHA-256 over this package's systemd units and drop-ins: for
    each file, sorted, its path, a zero byte, its SHA-256. None where there are none."""
    joint, found = hashlib.sha256(), False
    for path in sorted(file for at in folders for name in _UNIT_FILES for file in _glob(at, name)):
        found = found or path.name.startswith("fleeting")
        try:
            with path.open("rb") as file:
                content = file.read(_MAX_UNIT_BYTES)
        except OSError:
            content = b""  # unreadable: its name is still hashed
        joint.update(str(path).encode() + b"\0" + hashlib.sha256(content).digest())
    return joint.hexdigest()[:16] if found else None


def _glob(folder: Path, name: str) -> list[Path]:
    try:
        return list(folder.glob(name))
    except OSError:
        return []


def _max_epsilon(releases: Iterable[Release]) -> int:
    most = max((release.epsilon_milli for release in releases), default=0)
    return _bounded(-(-most // 10) * 10, 10_000)


def _bounded(value: int, most: int) -> int:
    return max(0, min(most, value))


def _utc_tens(utc: float | None) -> int | None:
    """Rounded down, to stay within the day."""
    return 10 * int(utc // 10) if utc is not None and _FIRST_UTC <= utc <= _LAST_UTC else None


def _parse(body: bytes | None) -> Receipt | None:
    if not body:
        return None
    receipt = from_json(Receipt, body)
    if receipt is None:
        log.error("The last receipt cannot be read; a new chain of receipts begins.")
    return receipt


def _read_checkpoint(path: Path) -> _Checkpoint | None:
    try:
        data = json.loads(read_regular_file(path, 10_000))
        return _Checkpoint(
            str(data["receipt"]).encode(),
            str(data["machine"]),
            float(data["monotonic"]),
            _seen(data["seen"]),
        )
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        log.warning("%s cannot be read; it is written anew with the next receipt.", path)
        return None


def _seen(data: Mapping[str, Any]) -> Seen:
    """Raises `KeyError`, `TypeError`, `ValueError`."""
    state = data["state"]
    if state not in get_args(OutboxState):
        raise ValueError("an unknown state of the outbox")
    return Seen(
        outbox=str(data["outbox"]),
        upto=int(data["upto"]),
        anchor=str(data["anchor"]),
        lines=int(data["lines"]),
        hash=str(data["hash"]),
        state=state,
    )


def _write_checkpoint(path: Path, checkpoint: _Checkpoint) -> None:
    data = dataclasses.asdict(checkpoint) | {"receipt": checkpoint.receipt.decode()}
    write_atomically(path, json.dumps(data).encode())
