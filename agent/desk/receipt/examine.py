"""What receipts, received summaries and `meta` messages of one device say together; wherever they
were kept. Nothing is read or printed here."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal

from agent.base.report import Meta, Receipt, Summary
from agent.desk.receipt._chain import Entry, check, entries
from agent.desk.receipt._compare import Comparison, receive
from agent.desk.receipt._coverage import Coverage, Days, cover, missing_until, name, parse_until
from agent.desk.receipt._coverage import document as coverage_document
from agent.desk.receipt._json_lines import Line
from agent.desk.receipt._live import compare, key_of

Verdict = Literal["valid", "incomplete", "invalid"]
EXIT_CODES: dict[Verdict, int] = {"valid": 0, "invalid": 1, "incomplete": 2}
"""Incomplete: all are genuine, but their chain has a break."""

__all__ = ["EXIT_CODES", "Entry", "Examined", "Line", "Verdict", "document", "examine"]


@dataclass(slots=True)
class Examined:
    """All that was found."""

    entries: list[Entry]
    coverage: Coverage
    until: tuple[Days, ...] | None = None
    """Days missing up to the one asked for; None: none was."""
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def breaks(self) -> int:
        return sum(bool(entry.breaks) for entry in self.entries)

    @property
    def verdict(self) -> Verdict:
        if self.problems or any(entry.problems for entry in self.entries):
            return "invalid"
        return "incomplete" if self.breaks else "valid"


def examine(
    receipts: Iterable[tuple[Line, Receipt]],
    *,
    key: str | None = None,
    summaries: Iterable[tuple[Line, Summary]] | None = None,
    metas: Sequence[tuple[Line, Meta]] = (),
    until: str | None = None,
    earlier_keys: bool = False,
) -> Examined:
    """Check signatures, chain, summaries, and that it is the chain the device goes on with.

    Parameters
    ----------
    receipts
        In any order, with duplicates.
    key
        64 hex digits, the signing key; None: that of `metas`, else that of the first receipt.
    summaries
        All that were received; None: not checked.
    metas
        The device's messages that name its key and its last receipt.
    until
        Day or instant that the chain must reach; see `parse_until`.
    earlier_keys
        A device that was set up anew signs with another key. True: each key's receipts are a chain
        of their own, and the change of key is a break; False: another key is a problem.
    """
    problems: list[str] = []
    given = key is not None
    key = key.lower() if key is not None else key_of(metas)
    found = entries(receipts)
    if earlier_keys:
        found = _by_key(found, key)
    else:
        check(found, key)
    if not found:
        problems.append("No receipt was found.")
    trusted = [entry for entry in found if entry.trusted]
    result = Examined(found, cover(trusted), problems=problems)
    if key is None and found:
        result.notes.append(
            f"All was verified under key {found[0].statement.key}; compare it with the device's "
            "`meta`."
        )
    elif not given and key is not None:
        result.notes.append(f"All was verified under key {key}, which the given meta names.")
    if until is not None:
        _check_until(result, until)
    named = [entry for entry in trusted if key is None or entry.statement.key == key]
    live = compare(list(metas), key, named)
    result.problems += live.problems
    result.notes += live.notes
    if summaries is not None:
        _check_summaries(result, summaries, trusted)
    _add_limits(result, bool(metas), until is not None)
    return result


def _by_key(found: list[Entry], named: str | None) -> list[Entry]:
    """Each key's receipts as a chain of their own, in order of time, that of `named` last."""
    chains: dict[str, list[Entry]] = {}
    for entry in found:
        chains.setdefault(entry.statement.key, []).append(entry)
    ordered = sorted(
        chains, key=lambda key: (key == named, min(e.statement.end or 0 for e in chains[key]))
    )
    for key, after in zip([None, *ordered], ordered, strict=False):
        check(chains[after], after)
        if key is not None:
            chains[after][0].breaks.append(
                f"the key changed: the receipts before are signed with {key[:8]}…; the device was "
                "set up anew, or is another one"
            )
    return [entry for key in ordered for entry in chains[key]]


def _check_until(result: Examined, until: str) -> None:
    try:
        instant = parse_until(until)
    except (ValueError, OverflowError):
        result.problems.append("The date must be a day such as 2026-11-28.")
        return
    result.until = missing_until(result.coverage, instant)
    if result.until:
        days = ", ".join(map(name, result.until))
        result.problems.append(
            f"The chain does not reach {until if until.isprintable() else 'that day'}: it ends at "
            f"{minutes(result.coverage.end)} UTC. Missing days: {days}. A day's receipt is signed "
            "after midnight UTC, when it has ended."
        )


def _check_summaries(
    result: Examined, summaries: Iterable[tuple[Line, Summary]], trusted: list[Entry]
) -> None:
    received = receive(summaries)
    comparison = Comparison(received)
    comparison(trusted)
    if received.repeated:
        result.notes.append(f"{received.repeated} summaries came more than once, byte for byte.")
    result.problems += comparison.problems
    result.notes += comparison.notes


def _add_limits(result: Examined, with_meta: bool, with_until: bool) -> None:
    """Say what this call could not show."""
    if not result.entries:
        return
    if not with_meta:
        result.notes.append(
            "One chain was checked by itself. A copy of the device signs its own with the same "
            "key; --meta FILE shows which one the device goes on with."
        )
    if not with_until:
        result.notes.append(
            "Receipts deleted at the end leave no gap; --until DAY demands that the chain reaches "
            "a day."
        )


def document(result: Examined) -> dict[str, object]:
    """For JSON."""
    return {
        "valid": result.verdict == "valid",
        "verdict": result.verdict,
        "coverage": coverage_document(result.coverage, result.until),
        "receipts": [
            {
                "where": entry.where,
                "valid": not entry.problems,
                "problems": entry.problems,
                "breaks": entry.breaks,
                "notes": entry.notes,
                "sha256": entry.hash,
                "statement": entry.statement.model_dump(),
            }
            for entry in result.entries
        ],
        "problems": result.problems,
        "notes": result.notes,
    }


def minutes(utc: int | None) -> str:
    """`2026-11-28 00:10`, or `unknown`."""
    return "unknown" if utc is None else datetime.fromtimestamp(utc, UTC).strftime("%Y-%m-%d %H:%M")


def day(number: int | None) -> str:
    """`2026-11-28` of a day counted from 1970-01-01; empty: none."""
    return "" if number is None else name((number, number))
