"""What a content slot held, and when: names for numbers.

A catalogue is a TOML file that stays with whoever operates the screens; devices know numbers only.

    timezone = "Europe/Berlin"      # whose midnights the days are; left out: UTC

    [[content]]
    slot = 3
    name = "The red chair"
    campaign = "spring"             # may be left out
    from = 2026-11-01               # first day; left out: since ever
    until = 2026-11-30              # last day; left out: from then on

A name may stand more than once, for a content that moved to another slot or came back; a slot holds
one content at a time.
"""

from __future__ import annotations

import itertools
import tomllib
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from agent.base.names import one_line
from agent.desk.read.errors import ReadError

if TYPE_CHECKING:
    import pandas as pd

EVER, ON = 0, 253_402_300_800
"""Unix seconds of an open beginning and an open end, the year 10000."""
_MOST = 10_000
"""Entries of one catalogue."""
_LONGEST = 80
"""Characters of a name."""
_KEYS = ("slot", "name", "campaign", "from", "until")
_MOST_BYTES = 2_000_000


@dataclass(frozen=True, slots=True)
class Content:
    """What one slot held for a time."""

    slot: int
    start: int
    """Unix seconds, included."""
    end: int
    """Unix seconds, not included."""
    name: str
    campaign: str | None = None


def load(path: Path) -> list[Content]:
    """A catalogue, sorted by slot and time. Raises `ReadError` naming every mistake."""
    try:
        data = path.read_bytes()
        if len(data) > _MOST_BYTES:
            raise ReadError(f"{one_line(path)} is longer than {_MOST_BYTES:,} bytes.")
        found = tomllib.loads(data.decode())
    except OSError as error:
        raise ReadError(f"{one_line(path)} cannot be read: {error.strerror}.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ReadError(f"{one_line(path)} is not valid TOML: {error}. Correct it.") from None
    problems: list[str] = []
    contents = _entries(found, problems)
    problems += _overlaps(contents)
    if problems:
        more = f"; and {len(problems) - 10} more" if len(problems) > 10 else ""
        raise ReadError(
            f"{one_line(path)} is no catalogue: {'; '.join(problems[:10])}{more}. Correct it; "
            "`fleeting-fleet content --help` shows one."
        )
    return ordered(contents)


def ordered(contents: Iterable[Content]) -> list[Content]:
    """By slot and time."""
    return sorted(contents, key=lambda each: (each.slot, each.start))


def _entries(found: dict[str, Any], problems: list[str]) -> list[Content]:
    for key in found.keys() - {"timezone", "content"}:
        problems.append(f"{key!a} is no key of it")
    try:
        zone = ZoneInfo(str(found.get("timezone", "UTC")))
    except (OSError, ValueError, KeyError):
        problems.append(f"{found['timezone']!a} is no time zone; one is Europe/Berlin")
        zone = ZoneInfo("UTC")
    entries = found.get("content", [])
    if not isinstance(entries, list) or not all(isinstance(each, dict) for each in entries):
        problems.append("contents stand in tables [[content]]")
        return []
    if not entries:
        problems.append("it has no [[content]]")
    if len(entries) > _MOST:
        problems.append(f"it has more than {_MOST:,} contents")
        return []
    made = []
    for number, entry in enumerate(entries, 1):
        wrong = _mistakes(entry)
        if wrong:
            problems += [f"content {number}: {each}" for each in wrong]
        else:
            start, end = entry.get("from"), entry.get("until")
            made.append(
                Content(
                    entry["slot"],
                    EVER if start is None else _midnight(start, zone),
                    ON if end is None else _midnight(end + timedelta(days=1), zone),
                    entry["name"],
                    entry.get("campaign"),
                )
            )
    return made


def _mistakes(entry: dict[str, Any]) -> list[str]:
    wrong = [f"{key!a} is no key of it" for key in entry.keys() - {*_KEYS}]
    slot = entry.get("slot")
    if type(slot) is not int or not 0 <= slot <= 255:
        wrong.append("slot is a number from 0 to 255")
    for key in ("name", "campaign"):
        value = entry.get(key)
        if value is None and key == "campaign":
            continue
        if not isinstance(value, str) or not _is_name(value):
            wrong.append(f"{key} is a text of 1 to {_LONGEST} characters on one line")
    first, last = entry.get("from"), entry.get("until")
    for key, day in (("from", first), ("until", last)):
        # a datetime is a date too
        if day is not None and (type(day) is not date or not 1970 <= day.year < 9999):
            wrong.append(f"{key} is a day such as 2026-11-30, without quotes")
            return wrong
    if first is not None and last is not None and first > last:
        wrong.append("from is after until")
    return wrong


def _is_name(text: str) -> bool:
    plain = not any(unicodedata.category(letter) in ("Cc", "Cf", "Zl", "Zp") for letter in text)
    return 0 < len(text) <= _LONGEST and text == text.strip() and plain


def _midnight(day: date, zone: ZoneInfo) -> int:
    return int(datetime.combine(day, time(), zone).timestamp())


def _overlaps(contents: Iterable[Content]) -> list[str]:
    found = []
    for one, other in itertools.pairwise(ordered(contents)):
        if one.slot == other.slot and other.start < one.end:
            found.append(
                f"slot {one.slot} would hold {one.name!a} and {other.name!a} at the same time"
            )
    return found


def named(frame: pd.DataFrame, contents: Sequence[Content] | str | Path) -> pd.DataFrame:
    """A frame of windows with the columns `content` and `campaign` (empty: none), which sums,
    rates and comparisons can go by. `contents`: a catalogue, or its file. A window counts where it
    began, or arrived where that is not known; a slot that held nothing is called "slot 3". Raises
    `ReadError`."""
    from agent.desk.read.frame import pandas

    pd = pandas()
    held = load(Path(contents)) if isinstance(contents, str | Path) else contents
    at = frame["start"].fillna(frame["received"])
    content = ("slot " + frame["slot"].astype(str)).to_numpy(object)
    campaign = content.copy()
    campaign[:] = ""
    seconds = (at - pd.Timestamp(0, tz="UTC")).dt.total_seconds().to_numpy(float, na_value=-1.0)
    slots = frame["slot"].to_numpy()
    for each in held:
        there = (slots == each.slot) & (seconds >= each.start) & (seconds < each.end)
        content[there] = each.name
        campaign[there] = each.campaign or ""
    return frame.assign(content=pd.Categorical(content), campaign=pd.Categorical(campaign))
