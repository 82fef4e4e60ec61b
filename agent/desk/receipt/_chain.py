"""Verification of the hash chain of receipts: signatures by one key, numbers, links."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from agent.base.report import OutboxState, Receipt, Statement, to_json
from agent.desk.receipt._json_lines import Line
from agent.uplink.receipt.book import ZEROS

BREAKS: dict[OutboxState, str] = {
    "damaged": "the outbox was damaged and begun anew",
    "reset": "the outbox was removed or replaced",
    "altered": "lines of the ledger went missing or were changed after they had been seen",
    "new": "what had been seen of the ledger was forgotten: the file beside the key was lost",
}


@dataclass(slots=True)
class Entry:
    """One receipt with its problems and notes."""

    where: str
    receipt: Receipt
    hash: str
    """SHA-256 of its bytes, hex."""
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    breaks: list[str] = field(default_factory=list)
    """Why summaries of its time may be missing from it, although it is genuine."""
    trusted: bool = False
    """Signed by the right key and unique in its number; neighbours may be missing."""

    @property
    def statement(self) -> Statement:
        return self.receipt.statement


def entries(read: Iterable[tuple[Line, Receipt]]) -> list[Entry]:
    """Receipts by number, without duplicates."""
    found: dict[bytes, Entry] = {}
    for line, receipt in read:
        digest = hashlib.sha256(line.body).hexdigest()
        found.setdefault(line.body, Entry(line.where, receipt, digest))
    return sorted(found.values(), key=lambda entry: entry.statement.number)


def check(receipts: list[Entry], key: str | None) -> None:
    """Add problems and notes to each entry.

    `key`: 64 hex digits of the signing key; None: that of the first valid signature, which shows
    only that all receipts have one signer.
    """
    for entry in receipts:
        if not _signature_valid(entry.receipt):
            entry.problems.append("the signature is wrong: altered, or not signed by its key")
    key = key or next((each.statement.key for each in receipts if not each.problems), None)
    for entry in receipts:
        if key is not None and entry.statement.key != key:
            entry.problems.append(f"signed with another key, {entry.statement.key[:8]}…")
    valid = [entry for entry in receipts if not entry.problems]
    _check_numbers(valid)
    for entry in valid:
        entry.trusted = not entry.problems
        state = entry.statement.outbox
        if state in BREAKS and not (state == "new" and entry.statement.number == 1):
            entry.breaks.append(f"{BREAKS[state]}; summaries of this time may be in no receipt")
    _check_links(valid)


def _signature_valid(receipt: Receipt) -> bool:
    """Whether the Ed25519 signature (RFC 8032) matches the key in the statement."""
    try:
        key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(receipt.statement.key))
        key.verify(bytes.fromhex(receipt.signature), to_json(receipt.statement))
    except (InvalidSignature, UnsupportedAlgorithm, ValueError):
        return False
    return True


def _check_numbers(valid: list[Entry]) -> None:
    by_number: dict[int, list[Entry]] = {}
    for entry in valid:
        by_number.setdefault(entry.statement.number, []).append(entry)
    for number, same in by_number.items():
        if len(same) > 1:
            for entry in same:
                others = ", ".join(each.where for each in same if each is not entry)
                entry.problems.append(
                    f"the chain forks: number {number} was signed again, otherwise ({others})"
                )


def _check_links(valid: list[Entry]) -> None:
    by_hash = {entry.hash: entry for entry in valid}
    numbers = sorted({entry.statement.number for entry in valid})
    before = {number: numbers[place - 1] for place, number in enumerate(numbers) if place}
    for entry in valid:
        number, previous = entry.statement.number, entry.statement.previous
        parent = by_hash.get(previous)
        if number == 1:
            if previous != ZEROS:
                entry.problems.append("number 1, yet it names one before")
        elif previous == ZEROS:
            entry.problems.append("names none before, yet it is not number 1")
        elif parent is not None:
            if parent.statement.number != number - 1:
                entry.problems.append(
                    f"follows number {parent.statement.number}, yet it is number {number}"
                )
            elif parent.statement.end != entry.statement.start:
                entry.problems.append("does not begin where the one before ended")
        elif number not in before:
            entry.notes.append(f"the chain before number {number} was not given")
        elif before[number] == number - 1:
            entry.problems.append(f"does not follow the number {number - 1} that was given")
        else:
            first, last = before[number] + 1, number - 1
            missing = str(first) if first == last else f"{first} to {last}"
            entry.problems.append(f"the chain has a gap: number {missing} is missing")
        start, end = entry.statement.start, entry.statement.end
        if start is not None and end is not None and end < start:
            entry.notes.append("the clock went back meanwhile")
