"""Compares the summaries that a reader has with those that receipts account for.

A receipt holds one digest over all summaries of its day, in order of release. That says whether a
day's set is whole, not which summary is wrong; what else can be known comes from the summaries'
numbers, which follow each other without a gap, and from copies that disagree.
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
from agent.uplink.receipt.book import digest

_MOST_TRIES = 256
"""Ways to choose among copies that disagree; beyond them, by process start only."""
_MOST_HASHED = 1_000_000_000
"""Bytes to hash in search of where the first summaries begin: some seconds."""
_MOST_LOST = 30
"""Numbers between two days that the device may have lost before they were released."""
_MOST_NAMED = 10


@dataclass(frozen=True, slots=True, eq=False)
class Copy:
    """One form of a summary that was received."""

    where: str
    boot: str
    sha256: str


@dataclass(slots=True)
class Received:
    """What a reader has, by number."""

    copies: dict[int, list[Copy]] = field(default_factory=dict)
    """More than one where copies of a number disagree."""
    repeated: int = 0
    """Second copies, byte for byte."""
    seqs: list[int] = field(default_factory=list)
    """Ascending."""


def receive(read: Iterable[tuple[Line, Summary]]) -> Received:
    """Sort summaries by their numbers."""
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
    """Goes through receipts in order and finds each one's summaries."""

    def __init__(self, received: Received) -> None:
        self._received = received
        self._place = {seq: place for place, seq in enumerate(received.seqs)}
        self._flat = bytes.fromhex("".join(received.copies[seq][0].sha256 for seq in received.seqs))
        self._next: int | None = None
        """The number that the next receipt begins with, as far as that is known."""
        self._hashed = 0
        self._taken: dict[Copy, Entry] = {}
        """Accounted for, and by which receipt; also those of a day that is not whole."""
        self.problems: list[str] = []
        self.notes: list[str] = []

    def __call__(self, receipts: list[Entry]) -> None:
        """Note in each entry what is wrong with its summaries, in `problems` and `notes` what no
        receipt accounts for. `receipts`: in order of their numbers."""
        waiting: list[Entry] = []
        unknown = False
        number = 0
        for entry in receipts:
            count = entry.statement.summaries
            if entry.statement.number != number + 1:
                unknown = self._give_up(waiting) or unknown
                self._next = None
            number = entry.statement.number
            place = self._find(entry) if count else None
            if place is not None:
                seqs = self._received.seqs[place : place + count]
                self._judge_backwards(waiting, seqs[0])
                self._next = (seqs[-1] + 1) % SEQ_LIMIT
            elif count and self._next is None:
                waiting.append(entry)
            elif count and self._next is not None:
                self._judge(entry, self._next)
                self._next = (self._next + count) % SEQ_LIMIT
        unknown = self._give_up(waiting) or unknown
        self._judge_rest(unknown, receipts)

    def _give_up(self, waiting: list[Entry]) -> bool:
        """Say of those whose numbers nothing tells that their summaries are not all here."""
        for entry in waiting:
            entry.problems.append(
                f"of the {entry.statement.summaries} summaries it accounts for, not all are here "
                "as they were released; which ones cannot be told"
            )
        gave_up = bool(waiting)
        waiting.clear()
        return gave_up

    def _find(self, entry: Entry) -> int | None:
        """Where its summaries begin in `seqs`; None where they are not all here."""
        count, seqs = entry.statement.summaries, self._received.seqs
        if self._next is None and entry.statement.number == 1:
            self._next = 0
        likely = [0]  # a new outbox counts from 0
        if self._next is not None:  # numbers that the device lost may lie between
            here = bisect_left(seqs, self._next)
            likely += range(here, min(here + _MOST_LOST, len(seqs)))
        else:
            likely += self._search(count, entry.statement.digest)
        for place in likely:
            if self._fits(entry, seqs[place : place + count]):
                return place
        return None

    def _search(self, count: int, wanted: str) -> Iterator[int]:
        """Places where so many first copies in a row have that digest."""
        for place in range(len(self._received.seqs) - count + 1):
            if self._hashed > _MOST_HASHED:
                return
            self._hashed += 32 * count
            row = self._flat[32 * place : 32 * (place + count)]
            if hashlib.sha256(row).hexdigest() == wanted:
                yield place

    def _free(self, seq: int) -> list[Copy]:
        return [copy for copy in self._received.copies[seq] if copy not in self._taken]

    def _fits(self, entry: Entry, seqs: list[int]) -> bool:
        """Take these as its summaries if they are; of copies that disagree, any choice may be."""
        if len(seqs) != entry.statement.summaries:
            return False
        choices = [self._free(seq) for seq in seqs]
        if not all(choices):
            return False
        for chosen in _ways(choices):
            if digest(copy.sha256 for copy in chosen) == entry.statement.digest:
                self._taken.update((copy, entry) for copy in chosen)
                return True
        return False

    def _judge(self, entry: Entry, first: int) -> None:
        """Say what is wrong where its numbers are known: `first` and those that follow."""
        count = entry.statement.summaries
        expected = [(first + n) % SEQ_LIMIT for n in range(count)]
        free = {seq: self._free(seq) for seq in expected if seq in self._place}
        self._taken.update((copy, entry) for copies in free.values() for copy in copies)
        missing = [seq for seq in expected if not free.get(seq)]
        if missing:
            named = ", ".join(str(seq) for seq in missing[:_MOST_NAMED])
            more = f" and {len(missing) - _MOST_NAMED} more" if len(missing) > _MOST_NAMED else ""
            entry.problems.append(
                f"{count - len(missing)} of {count} summaries are here; missing: seq {named}{more}"
            )
        else:
            entry.problems.append(
                f"its {count} summaries, seq {first} to {expected[-1]}, are here, but at least one "
                "is not as it was released; the ledger on the device names each one's hash"
            )

    def _judge_backwards(self, waiting: list[Entry], end: int) -> None:
        for entry in reversed(waiting):
            end = (end - entry.statement.summaries) % SEQ_LIMIT
            self._judge(entry, end)
        waiting.clear()

    def _judge_rest(self, unknown: bool, receipts: list[Entry]) -> None:
        """What no receipt accounts for."""
        taken = {
            seq
            for seq in self._received.seqs
            if len(self._free(seq)) < len(self._received.copies[seq])
        }
        first, last = min(taken, default=0), max(taken, default=-1)
        older = newer = 0
        loose: list[str] = []
        for seq in self._received.seqs:
            for copy in self._free(seq):
                if seq in taken:
                    self._name_false(seq, copy)
                elif seq > last:
                    newer += 1
                elif seq < first and receipts[0].statement.number > 1:
                    older += 1
                else:
                    loose.append(f"{copy.where}: no receipt accounts for summary {seq}.")
        if unknown:
            return
        self.problems += loose[:_MOST_NAMED]
        if len(loose) > _MOST_NAMED:
            self.problems.append(f"{len(loose) - _MOST_NAMED} more that none accounts for.")
        if older:
            self.notes.append(f"{older} summaries are from before the first receipt given.")
        if newer:
            self.notes.append(f"{newer} summaries are newer than the last receipt given.")

    def _name_false(self, seq: int, copy: Copy) -> None:
        for true in self._received.copies[seq]:
            if true in self._taken:
                self._taken[true].problems.append(
                    f"no receipt accounts for the summary at {copy.where}; the one at "
                    f"{true.where} was released"
                )
                return


def _ways(choices: list[list[Copy]]) -> Iterator[tuple[Copy, ...]]:
    """Ways to choose one copy of each number: all of them where they are few, else those that
    prefer one process start to the others."""
    if math.prod(len(each) for each in choices) <= _MOST_TRIES:
        yield from itertools.product(*choices)
        return
    boots = dict.fromkeys(copy.boot for each in choices for copy in each)
    for boot in itertools.islice(boots, _MOST_TRIES):
        yield tuple(min(each, key=lambda copy: copy.boot != boot) for each in choices)
