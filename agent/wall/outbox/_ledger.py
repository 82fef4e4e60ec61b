"""The ledger: one line per released summary, and the volume delivered, for the receipts."""

from __future__ import annotations

import hashlib
import sqlite3
from dataclasses import astuple, dataclass

from agent.base.report import SEQ_LIMIT, Receipt, Summary, to_json
from agent.wall.outbox._age import WallTime
from agent.wall.outbox._database import (
    Database,
    add_to_counter,
    blob,
    counter,
    insert_message,
    put_latest,
)

_MAX_ROWS = 100_000
"""Ledger lines kept: more than two years of 15-minute windows, about 10 MB."""


@dataclass(frozen=True, slots=True)
class Release:
    """One line of the ledger."""

    id: int
    """Increasing."""
    boot: str
    seq: int
    epsilon_milli: int
    withheld: bool
    visits: int
    """Noised, of the summary's own window; 0 unless withheld."""
    sha256: str
    """Of the summary's bytes."""

    @property
    def line_hash(self) -> str:
        """SHA-256 over the whole line, hex."""
        return hashlib.sha256(repr(astuple(self)).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class ReceiptBasis:
    """The data of the next receipt."""

    previous: bytes | None
    """The last receipt, as this file has it."""
    outbox: str
    """Random identity of this outbox file, hex."""
    after_damage: bool
    """Whether the file was begun because the one before was damaged."""
    after: int
    """Id of the ledger line before `releases`."""
    anchor: Release | None
    """That line; None where it is missing."""
    releases: tuple[Release, ...]
    """Since then, oldest first."""
    messages: int
    """Delivered to the broker since then."""
    bytes: int
    upto: int
    """Id of the last ledger row included."""


class ReleaseLedger:
    """Privacy budget spent and messages delivered. Every method raises `StoreError`."""

    def __init__(self, database: Database, utc: WallTime) -> None:
        self._database = database
        self._utc = utc
        self.unrecorded = 0
        """Summaries delivered by this process of which the ledger had no line, or another."""

    def entries(self) -> list[tuple[str, int, int, str]]:
        """(boot, seq, epsilon_milli, sha256 of the body) of every release, oldest first."""
        with self._database.reading() as database:
            return database.execute(
                "SELECT boot, seq, epsilon_milli, sha256 FROM ledger ORDER BY rowid"
            ).fetchall()

    def next_seq(self) -> int:
        """The sequence number after the newest release's."""
        with self._database.reading() as database:
            last = database.execute("SELECT seq FROM ledger ORDER BY rowid DESC LIMIT 1").fetchone()
        return (int(last[0]) + 1) % SEQ_LIMIT if last else 0

    def meter(self, messages: int, size: int) -> None:
        """Add delivered messages that were never in the outbox (health, responses): their number
        and payload bytes."""
        with self._database.transaction("count in") as database:
            meter(database, messages, size)

    def identity(self) -> str:
        """`ReceiptBasis.outbox` of this file."""
        with self._database.reading() as database:
            return _identity(database)

    def receipt_basis(self, after: int | None = None) -> ReceiptBasis:
        """The data since the last receipt; since ledger line `after` where it is given, for the
        file itself may be wrong about what was in a receipt."""
        with self._database.reading() as database:
            last = database.execute("SELECT body FROM latest WHERE kind = 'Receipt'").fetchone()
            upto = counter(database, "receipt_upto") if after is None else after
            releases = _releases(database, "rowid > ?", upto)
            anchor = _releases(database, "rowid = ?", upto)
            return ReceiptBasis(
                blob(last[0]) if last else None,
                _identity(database),
                counter(database, "after_damage") > 0,
                upto,
                anchor[0] if anchor else None,
                releases,
                counter(database, "messages"),
                counter(database, "bytes"),
                releases[-1].id if releases else upto,
            )

    def add_receipt(self, receipt: Receipt, basis: ReceiptBasis) -> None:
        """Store a receipt in the outbox and reset the counters, in one transaction."""
        body = to_json(receipt)
        statement = receipt.statement
        with self._database.transaction("add a receipt to") as database:
            boot, number = statement.key[:8], statement.number
            insert_message(database, "receipt", boot, number, self._utc(database), body)
            put_latest(database, "Receipt", body)
            meter(database, -basis.messages, -basis.bytes)
            more = basis.upto - counter(database, "receipt_upto")
            add_to_counter(database, "receipt_upto", more)


def _identity(database: sqlite3.Connection) -> str:
    return f"{counter(database, 'identity'):016x}"


def _releases(database: sqlite3.Connection, where: str, upto: int) -> tuple[Release, ...]:
    rows = database.execute(
        "SELECT rowid, boot, seq, epsilon_milli, withheld, visits, sha256 FROM ledger"
        f" WHERE {where} ORDER BY rowid",
        (upto,),
    )
    return tuple(
        Release(number, boot, int(seq), int(epsilon), bool(withheld), int(visits), _hash(sha256))
        for number, boot, seq, epsilon, withheld, visits, sha256 in rows
    )


def _hash(value: str) -> str:
    """Raises `TypeError`, `ValueError` for anything but 64 hex digits: the file is not trusted."""
    if len(bytes.fromhex(value)) != 32 or len(value) != 64:
        raise ValueError("a ledger line without a hash")
    return value


def is_recorded(database: sqlite3.Connection, boot: str, seq: int, body: bytes) -> bool:
    """Within a transaction: whether the ledger has the line of this summary."""
    found = database.execute(
        "SELECT sha256 FROM ledger WHERE boot = ? AND seq = ?", (boot, seq)
    ).fetchone()
    return found is not None and found[0] == hashlib.sha256(body).hexdigest()


def record_release(
    database: sqlite3.Connection, summary: Summary, body: bytes, visits: int
) -> bool:
    """Add a summary's line within a transaction; False where it exists. `body`: the summary's
    bytes; `visits`: see `Release`."""
    added = database.execute(
        "INSERT OR IGNORE INTO ledger VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            summary.boot,
            summary.seq,
            summary.slot,
            summary.privacy.epsilon_milli,
            summary.policy_hash,
            summary.visits is None,
            visits if summary.visits is None else 0,
            hashlib.sha256(body).hexdigest(),
        ),
    ).rowcount
    if added:
        database.execute(
            "DELETE FROM ledger WHERE rowid <= (SELECT MAX(rowid) FROM ledger) - ?", (_MAX_ROWS,)
        )
    return bool(added)


def meter(database: sqlite3.Connection, messages: int, size: int) -> None:
    """As `ReleaseLedger.meter`, within a transaction."""
    add_to_counter(database, "messages", messages)
    add_to_counter(database, "bytes", size)
