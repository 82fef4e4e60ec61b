"""Comparison of received summaries with the receipts that account for them.

A receipt has one digest over all summaries of its day in order of release, which shows whether the
day is complete, not which summary is wrong. That follows from the summaries' consecutive sequence
numbers, and from copies that disagree.
"""

from __future__ import annotations

import hashlib
import itertools
import math
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from agent.base.report import SEQ_LIMIT, Summary
from agent.desk.receipt._chain import Entry
from agent.desk.receipt._json_lines import Line
from agent.uplink.receipt.continuity import digest

_MAX_COMBINATIONS = 256
"""Combinations of conflicting copies to try; beyond, one per process start."""
_MAX_HASHED = 1_000_000_000
"""Bytes to hash in search of a receipt's first summary: some seconds."""
_MAX_SKIPPED = 30
"""Sequence numbers between two days that the device may have lost before release."""
_MAX_LISTED = 10


@dataclass(frozen=True, slots=True, eq=False)
class Copy:
    """One received version of a summary."""

    where: str
    boot: str
    sha256: str


@dataclass(slots=True)
class Received:
    """Received summaries by sequence number."""

    copies: dict[int, list[Copy]] = field(default_factory=dict)
    """More than one version where copies conflict."""
    repeated: int = 0
    """Identical duplicates."""
    seqs: list[int] = field(default_factory=list)
    """Ascending."""


def receive(read: Iterable[tuple[Line, Summary]]) -> Received:
    """Collect summaries by sequence number."""
    found = Received()
    for line, summary in read:
        copy = Copy(line.where, summary.boot, hashlib.sha256(line.body).hexdigest())
        same = found.copies.setdefault(summary.seq, [])
        if any(each.sha256 == copy.sha256 for each in same):
            found.repeated += 1
        else:
            same.append(copy)
    found.seqs = sorted(found.copies)
    return found


class Comparison:
    """Matches receipts in order with their summaries."""

    def __init__(self, received: Received) -> None:
        self._received = received
        self._place = {seq: place for place, seq in enumerate(received.seqs)}
        self._flat = bytes.fromhex("".join(received.copies[seq][0].sha256 for seq in received.seqs))
        self._next: int | None = None
        """First sequence number of the next receipt, where known."""
        self._after: int | None = None
        """After the latest receipt whose summaries are known; a new key goes on counting there."""
        self._hashed = 0
        self._matched: dict[Copy, Entry] = {}
        """Receipt that accounts for each copy, also for incomplete days."""
        self.problems: list[str] = []
        self.notes: list[str] = []

    def __call__(self, receipts: list[Entry]) -> None:
        """Add problems with its summaries to each entry; summaries without a receipt go to
        `problems` and `notes`. `receipts`: by number."""
        unresolved: list[Entry] = []
        unknown = False
        number = 0
        for entry in receipts:
            count = entry.statement.summaries
            if entry.statement.number != number + 1:
                unknown = self._report_unresolved(unresolved) or unknown
                self._next = self._after if entry.statement.number == 1 else None
            number = entry.statement.number
            place = self._find(entry) if count else None
            if place is not None:
                seqs = self._received.seqs[place : place + count]
                self._report_backwards(unresolved, seqs[0])
                self._next = self._after = (seqs[-1] + 1) % SEQ_LIMIT
            elif count and self._next is None:
                unresolved.append(entry)
            elif count and self._next is not None:
                self._report_mismatch(entry, self._next)
                self._next = self._after = (self._next + count) % SEQ_LIMIT
        unknown = self._report_unresolved(unresolved) or unknown
        self._report_unaccounted(unknown, receipts)

    def _report_unresolved(self, unresolved: list[Entry]) -> bool:
        """Report receipts whose sequence numbers cannot be determined."""
        for entry in unresolved:
            entry.problems.append(
                f"of the {entry.statement.summaries} summaries it accounts for, not all are here "
                "as they were released; which ones cannot be told"
            )
        any_unresolved = bool(unresolved)
        unresolved.clear()
        return any_unresolved

    def _find(self, entry: Entry) -> int | None:
        """Index in `seqs` of its first summary; None where any is missing or altered."""
        count, seqs = entry.statement.summaries, self._received.seqs
        if self._next is None and entry.statement.number == 1:
            self._next = 0
        candidates = [0]  # a new outbox counts from 0
        if self._next is not None:  # allow for numbers that the device lost
            here = bisect_left(seqs, self._next)
            candidates += range(here, min(here + _MAX_SKIPPED, len(seqs)))
        else:
            candidates += self._search(count, entry.statement.digest)
        for place in candidates:
            if self._match(entry, seqs[place : place + count]):
                return place
        return None

    def _search(self, count: int, wanted: str) -> Iterator[int]:
        """Indices at which `count` first copies in a row have the digest `wanted`."""
        for place in range(len(self._received.seqs) - count + 1):
            if self._hashed > _MAX_HASHED:
                return
            self._hashed += 32 * count
            row = self._flat[32 * place : 32 * (place + count)]
            if hashlib.sha256(row).hexdigest() == wanted:
                yield place

    def _unmatched_copies(self, seq: int) -> list[Copy]:
        return [copy for copy in self._received.copies[seq] if copy not in self._matched]

    def _match(self, entry: Entry, seqs: list[int]) -> bool:
        """Match these summaries with the receipt if any combination of copies has its digest."""
        if len(seqs) != entry.statement.summaries:
            return False
        choices = [self._unmatched_copies(seq) for seq in seqs]
        if not all(choices):
            return False
        for chosen in _combinations(choices):
            if digest(copy.sha256 for copy in chosen) == entry.statement.digest:
                self._matched.update((copy, entry) for copy in chosen)
                return True
        return False

    def _report_mismatch(self, entry: Entry, first: int) -> None:
        """Report missing or altered summaries of a receipt that starts at number `first`."""
        count = entry.statement.summaries
        expected = [(first + n) % SEQ_LIMIT for n in range(count)]
        free = {seq: self._unmatched_copies(seq) for seq in expected if seq in self._place}
        self._matched.update((copy, entry) for copies in free.values() for copy in copies)
        missing = [seq for seq in expected if not free.get(seq)]
        if missing:
            listed = ", ".join(str(seq) for seq in missing[:_MAX_LISTED])
            more = f" and {len(missing) - _MAX_LISTED} more" if len(missing) > _MAX_LISTED else ""
            entry.problems.append(
                f"{count - len(missing)} of {count} summaries are here; missing: seq {listed}{more}"
            )
        else:
            entry.problems.append(
                f"its {count} summaries, seq {first} to {expected[-1]}, are here, but at least one "
                "is not as it was released; the ledger on the device names each one's hash"
            )

    def _report_backwards(self, unresolved: list[Entry], end: int) -> None:
        for entry in reversed(unresolved):
            end = (end - entry.statement.summaries) % SEQ_LIMIT
            self._report_mismatch(entry, end)
        unresolved.clear()

    def _report_unaccounted(self, unknown: bool, receipts: list[Entry]) -> None:
        """Report summaries that no receipt accounts for."""
        copies = self._received.copies
        matched = {seq for seq in copies if len(self._unmatched_copies(seq)) < len(copies[seq])}
        first, last = min(matched, default=0), max(matched, default=-1)
        older = newer = 0
        unmatched: list[str] = []
        for seq in self._received.seqs:
            for copy in self._unmatched_copies(seq):
                if seq in matched:
                    self._report_altered(seq, copy)
                elif seq > last:
                    newer += 1
                elif seq < first and receipts[0].statement.number > 1:
                    older += 1
                else:
                    unmatched.append(f"{copy.where}: no receipt accounts for summary {seq}.")
        if unknown:
            return
        self.problems += unmatched[:_MAX_LISTED]
        if len(unmatched) > _MAX_LISTED:
            self.problems.append(f"{len(unmatched) - _MAX_LISTED} more that none accounts for.")
        if older:
            self.notes.append(f"{older} summaries are from before the first receipt given.")
        if newer:
            self.notes.append(f"{newer} summaries are newer than the last receipt given.")

    def _report_altered(self, seq: int, copy: Copy) -> None:
        for released in self._received.copies[seq]:
            if released in self._matched:
                self._matched[released].problems.append(
                    f"no receipt accounts for the summary at {copy.where}; the one at "
                    f"{released.where} was released"
                )
                return


def _combinations(choices: list[list[Copy]]) -> Iterator[tuple[Copy, ...]]:
    """Combinations of one copy per number: all where they are few, else one per process start."""
    if math.prod(len(each) for each in choices) <= _MAX_COMBINATIONS:
        yield from itertools.product(*choices)
        return
    boots = dict.fromkeys(copy.boot for each in choices for copy in each)
    for boot in itertools.islice(boots, _MAX_COMBINATIONS):
        yield tuple(min(each, key=lambda copy: copy.boot != boot) for each in choices)
