"""Every device's receipts against the summaries in the database, byte for byte.

The same examination as `fleeting receipt verify`, of what a collector stored instead of files.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from agent.base.report import Meta, Receipt, Summary, from_json, summary_form
from agent.base.report.base import Message
from agent.desk.receipt.examine import EXIT_CODES, Examined, Line, Verdict, document, examine
from tools.fleet.store import Store

_DAY = 86_400
_GRACE = 2 * _DAY
"""Seconds after which summaries without any receipt are a problem: one is signed after midnight."""
_MARGIN = _DAY
"""Seconds by which a device's clock may be ahead of the collector's."""
_PAGE = 5000
_MAX_BAD = 10


@dataclass(slots=True)
class Verified:
    """What was found of one device."""

    device: str
    examined: Examined | None
    """None: it has no receipts, and need not have any yet."""
    summaries: int
    key: str | None
    problems: list[str] = field(default_factory=list)
    """Of the database's rows."""
    conflicts: list[str] = field(default_factory=list)
    """Of what a collector refused."""

    @property
    def verdict(self) -> Verdict:
        if self.problems:
            return "invalid"
        found: Verdict = "valid" if self.examined is None else self.examined.verdict
        return "incomplete" if found == "valid" and self.conflicts else found

    def document(self) -> dict[str, Any]:
        """For JSON."""
        found = {} if self.examined is None else document(self.examined)
        return {
            "device": self.device,
            "key": self.key,
            "summaries": self.summaries,
            **found,
            "valid": self.verdict == "valid",
            "verdict": self.verdict,
            "rows": self.problems,
            "conflicts": self.conflicts,
        }


def verdict_of(found: Sequence[Verified]) -> int:
    """The exit code, as of `fleeting receipt verify`: 1 invalid, 2 genuine with a break, 0."""
    verdicts = {each.verdict for each in found}
    worst: Verdict = "valid"
    for each in ("incomplete", "invalid"):
        worst = each if each in verdicts else worst
    return EXIT_CODES[worst]


def known_devices(store: Store) -> list[str]:
    """Everyone who is known, or of whom there are receipts."""
    sql = "SELECT device FROM devices UNION SELECT device FROM receipts ORDER BY device"
    return [row[0] for row in store.tuples(sql)]


def verify(
    store: Store, device: str, since: int | None = None, until: str | None = None
) -> Verified:
    """One device. `since`: UTC seconds; receipts that came before it, and summaries that those
    account for, are left out. `until`: day that its chain must reach. Raises `StoreUnavailable`."""
    rows = _Rows()
    receipts = list(rows.receipts(store, device, since))
    metas = list(rows.metas(store, device))
    key = metas[0][1].key if metas else None
    signed = since is None and any(meta.receipt is not None for _, meta in metas)
    if not (receipts or rows.problems or signed or _overdue(store, device, since)):
        sql = "SELECT COUNT(*) FROM summaries WHERE device = ? AND received >= ?"
        return Verified(device, None, int(store.tuples(sql, (device, since or 0))[0][0]), key)
    oldest = _first_summary(receipts) if since is not None else None
    summaries = list(rows.summaries(store, device, oldest))
    examined = examine(receipts, summaries=summaries, metas=metas, until=until, earlier_keys=True)
    conflicts = _conflicts(store, device, since)
    return Verified(device, examined, len(summaries), key, rows.told(), conflicts)


def _conflicts(store: Store, device: str, since: int | None) -> list[str]:
    """Receipts and summaries with a number that is taken, and other bytes: a copy of the device
    counts and signs on by itself."""
    found = []
    for kind in ("receipt", "summary"):
        sql = (
            "SELECT COUNT(*) FROM quarantine WHERE device = ? AND reason = 'conflict'"
            " AND topic = ? AND received >= ?"
        )
        topic = f"fleeting/1/d/{device}/{kind}"
        number = store.tuples(sql, (device, topic, since or 0))[0][0]
        if number:
            found.append(
                f"{number} messages of kind {kind} came with a number that another one has; they "
                "are in quarantine: is there a copy of this device?"
            )
    return found


def _overdue(store: Store, device: str, since: int | None) -> bool:
    """Whether there are summaries so old that a receipt should account for them."""
    sql = "SELECT 1 FROM summaries WHERE device = ? AND received >= ? AND received < ? LIMIT 1"
    return bool(store.tuples(sql, (device, since or 0, int(time.time()) - _GRACE)))


def _first_summary(receipts: Sequence[tuple[Line, Receipt]]) -> int | None:
    """When the first of the summaries that the receipts account for can have come; None: ever."""
    if not receipts:
        return None
    first = min((receipt.statement for _, receipt in receipts), key=lambda each: each.number)
    return None if first.start is None else first.start - _MARGIN


@dataclass(slots=True)
class _Rows:
    """Reads a device's rows; what is not as it was stored is a problem."""

    problems: list[str] = field(default_factory=list)

    def told(self) -> list[str]:
        more = len(self.problems) - _MAX_BAD
        return self.problems[:_MAX_BAD] + ([f"{more} more rows like these."] if more > 0 else [])

    def receipts(
        self, store: Store, device: str, since: int | None
    ) -> Iterator[tuple[Line, Receipt]]:
        sql = (
            "SELECT key, number, body, sha256 FROM receipts WHERE device = ? AND received >= ?"
            " ORDER BY key, number"
        )
        for key, number, body, digest in store.tuples(sql, (device, since or 0)):
            where = f"{device}: receipt {number} of key {key[:8]}…"
            found = self._message(where, Receipt, body, digest)
            if found is None:
                continue
            statement = found[1].statement
            if (statement.key, statement.number) != (key, number):
                self.problems.append(f"{where}: the row holds another receipt.")
                continue
            yield found

    def metas(self, store: Store, device: str) -> Iterator[tuple[Line, Meta]]:
        for (body,) in store.tuples("SELECT meta FROM devices WHERE device = ?", (device,)):
            if body is not None and (found := self._message(f"{device}: meta", Meta, body, None)):
                yield found

    def summaries(
        self, store: Store, device: str, oldest: int | None
    ) -> Iterator[tuple[Line, Summary]]:
        sql = (
            "SELECT boot, seq, body, sha256 FROM summaries WHERE device = ? AND received >= ?"
            " AND (boot, seq) > (?, ?) ORDER BY boot, seq LIMIT ?"
        )
        last: tuple[str, int] = ("", -1)
        while page := store.tuples(sql, (device, oldest or 0, *last, _PAGE)):
            for boot, seq, body, digest in page:
                where = f"{device}: summary {boot}/{seq}"
                found = self._message(where, summary_form(_bytes(body)), body, digest)
                if found is None:
                    continue
                if (found[1].boot, found[1].seq) != (boot, seq):
                    self.problems.append(f"{where}: the row holds another summary.")
                    continue
                yield found
            last = (page[-1][0], page[-1][1])

    def _message(
        self, where: str, kind: type[Message], body: object, digest: str | None
    ) -> tuple[Line, Message] | None:
        raw = _bytes(body)
        if digest is not None and hashlib.sha256(raw).hexdigest() != digest:
            self.problems.append(f"{where}: the row was changed after it had been stored.")
            return None
        message = from_json(kind, raw)
        if message is None:
            self.problems.append(f"{where}: no {kind.__name__.lower()}, or not byte for byte.")
            return None
        return Line(where, raw), message


def _bytes(body: object) -> bytes:
    """Of a column that should be text; whoever changed the file may have put anything there."""
    if isinstance(body, str):
        return body.encode(errors="surrogatepass")
    return body if isinstance(body, bytes) else b""
