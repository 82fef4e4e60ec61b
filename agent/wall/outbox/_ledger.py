"""The ledger: one line per released summary, and the volume delivered, for the receipts."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass

from agent.base.report import SEQ_LIMIT, Receipt, Summary, to_json
from agent.wall.outbox._database import (
    Database,
    add_to_counter,
    counter,
    insert_message,
    put_latest,
)

_MAX_ROWS = 100_000
"""Ledger lines kept: more than two years of 15-minute windows, about 10 MB."""


@dataclass(frozen=True, slots=True)
class Release:
    """One line of the ledger."""

    boot: str
    seq: int
    epsilon_milli: int
    withheld: bool
    visits: int
    """Noised, of the summary's own window; 0 unless withheld."""
    sha256: str
    """Of the summary's bytes."""


@dataclass(frozen=True, slots=True)
class ReceiptBasis:
    """The data of the next receipt."""

    previous: bytes | None
    """The last receipt."""
    releases: tuple[Release, ...]
    """Since then, oldest first."""
    messages: int
    """Delivered to the broker since then."""
    bytes: int
    upto: int
    """Id of the last ledger row included."""


class ReleaseLedger:
    """Privacy budget spent and messages delivered. Every method raises `StoreError`."""

    def __init__(self, database: Database, utc: Callable[[], float | None]) -> None:
        """`utc`: wall seconds, None while the clock is not trusted."""
        self._database = database
        self._utc = utc

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

    def receipt_basis(self) -> ReceiptBasis:
        """The data since the last receipt."""
        with self._database.reading() as database:
            last = database.execute("SELECT body FROM latest WHERE kind = 'Receipt'").fetchone()
            upto = counter(database, "receipt_upto")
            rows = database.execute(
                "SELECT boot, seq, epsilon_milli, withheld, visits, sha256, rowid FROM ledger"
                " WHERE rowid > ? ORDER BY rowid",
                (upto,),
            ).fetchall()
            return ReceiptBasis(
                bytes(last[0]) if last else None,
                tuple(
                    Release(boot, seq, epsilon, bool(withheld), visits, sha256)
                    for boot, seq, epsilon, withheld, visits, sha256, _ in rows
                ),
                counter(database, "messages"),
                counter(database, "bytes"),
                rows[-1][-1] if rows else upto,
            )

    def add_receipt(self, receipt: Receipt, basis: ReceiptBasis) -> None:
        """Store a receipt in the outbox and reset the counters, in one transaction."""
        body = to_json(receipt)
        statement = receipt.statement
        with self._database.transaction("add a receipt to") as database:
            boot, number = statement.key[:8], statement.number
            insert_message(database, "receipt", boot, number, self._utc(), body)
            put_latest(database, "Receipt", body)
            meter(database, -basis.messages, -basis.bytes)
            more = basis.upto - counter(database, "receipt_upto")
            add_to_counter(database, "receipt_upto", more)


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
