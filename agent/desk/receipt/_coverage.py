"""Which days a chain of receipts accounts for.

A receipt is signed after the day has ended (UTC), so a day is accounted for by the receipt that
begins before its last midnight and ends at or after it. After a time switched off one receipt
accounts for several days.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from agent.desk.receipt._chain import Entry

_DAY = 86_400
_EPOCH = date(1970, 1, 1)
Days = tuple[int, int]
"""First and last, both included, counted from 1970-01-01."""


@dataclass(frozen=True, slots=True)
class Coverage:
    """Of the receipts that can be trusted."""

    receipts: int
    undated: int
    """Signed while the clock was not trusted: they account for no day."""
    first: int | None
    """First day, counted from 1970-01-01; None without a dated receipt."""
    last: int | None
    """Last day that has ended and is accounted for; None: none has."""
    end: int | None
    """UTC seconds at which the last receipt was signed."""
    missing: tuple[Days, ...]
    """Days between first and last that no receipt given here accounts for."""
    late: tuple[Days, ...]
    """Days without a receipt of their own: a later one accounts for them."""


def cover(receipts: Iterable[Entry]) -> Coverage:
    """`receipts`: by number, trusted."""
    dated: list[tuple[int, int]] = []
    count = undated = 0
    for entry in receipts:
        count += 1
        start, end = entry.statement.start, entry.statement.end
        if end is None:
            undated += 1
        else:
            dated.append((min(end if start is None else start, end), end))
    if not dated:
        return Coverage(count, undated, None, None, None, (), ())
    first, end = dated[0][0] // _DAY, dated[-1][1]
    last = end // _DAY - 1
    told: list[Days] = []
    late: list[Days] = []
    for begins, ends in dated:
        days = begins // _DAY, ends // _DAY - 1
        if days[0] <= days[1]:
            told.append(days)
        if days[0] < days[1]:
            late.append((days[0], days[1] - 1))
    return Coverage(
        count,
        undated,
        first,
        last if last >= first else None,
        end,
        _without(first, last, told),
        tuple(sorted(set(late))),
    )


def missing_until(found: Coverage, instant: int) -> tuple[Days, ...]:
    """Days up to `instant` (UTC seconds) after the last that is accounted for; empty: the chain
    reaches it."""
    if found.end is not None and found.end >= instant:
        return ()
    wanted = (instant - 1) // _DAY
    first = wanted if found.first is None else found.first
    if found.last is not None:
        first = found.last + 1
    return ((min(first, wanted), wanted),)


def parse_until(text: str) -> int:
    """UTC seconds of the end of a day such as 2026-11-28, or of an instant such as
    2026-11-28T12:00. Raises `ValueError`."""
    try:
        return ((date.fromisoformat(text) - _EPOCH).days + 1) * _DAY
    except ValueError:
        instant = datetime.fromisoformat(text)
        return int((instant if instant.tzinfo else instant.replace(tzinfo=UTC)).timestamp())


def name(days: Days) -> str:
    """`2026-11-28`, or `2026-11-28 to 2026-12-02`."""
    first, last = (str(_EPOCH + timedelta(days=each)) for each in days)
    return first if first == last else f"{first} to {last}"


def document(found: Coverage, until: tuple[Days, ...] | None) -> dict[str, object]:
    """For JSON. `until`: from `missing_until`; None: not asked."""

    def day(number: int | None) -> str | None:
        return None if number is None else name((number, number))

    return {
        "receipts": found.receipts,
        "undated": found.undated,
        "first_day": day(found.first),
        "last_day": day(found.last),
        "missing_days": [list(map(day, each)) for each in found.missing],
        "days_without_a_receipt_of_their_own": [list(map(day, each)) for each in found.late],
        "missing_until": None if until is None else [list(map(day, each)) for each in until],
    }


def sentence(found: Coverage) -> str:
    """In words."""
    if found.first is None:
        return f"Coverage: {found.receipts} receipts, none with a date."
    if found.last is None:
        days = f"begins on {name((found.first, found.first))}; no whole day is covered yet"
    else:
        days = f"{name((found.first, found.last))} (UTC)"
    parts = [f"Coverage: {days}, {found.receipts} receipts"]
    parts.append(_listed("gaps", found.missing) if found.missing else "no gaps")
    if found.late:
        parts.append(_listed("days without a receipt of their own", found.late))
    if found.undated:
        parts.append(f"{found.undated} without a date")
    return "; ".join(parts) + "."


def _listed(what: str, days: tuple[Days, ...]) -> str:
    shown = ", ".join(map(name, days[:10]))
    return f"{what}: {shown}" + (f" and {len(days) - 10} more" if len(days) > 10 else "")


def _without(first: int, last: int, told: list[Days]) -> tuple[Days, ...]:
    """The days from `first` to `last` that are in none of `told`."""
    missing, due = [], first
    for begins, ends in sorted(told):
        if begins > due:
            missing.append((due, min(begins - 1, last)))
        due = max(due, ends + 1)
    if due <= last:
        missing.append((due, last))
    return tuple(each for each in missing if each[0] <= each[1])
