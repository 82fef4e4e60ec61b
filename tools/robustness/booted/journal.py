"""What the journal of a booted container says against the product's units."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass

WARNING = 4
"""Priority, as in syslog(3); lower is worse."""
OURS = re.compile(r"(fleeting[\w-]*|media-fleeting)\.(service|target|path|timer|mount)")
_REMARKS = re.compile(
    r"Unknown (key|section|lvalue|assignment)|Failed to parse|ignoring|deprecated|obsolete|"
    r"is not supported|not implemented|Failed at step|Failed to (set up|apply|add|attach|load)",
    re.IGNORECASE,
)
"""What systemd says of a unit that it does not take as it is written."""
_BROKEN = re.compile(
    r"Traceback \(most recent call last\)|Segmentation fault|core dumped|Fatal Python error|"
    r"Report it\.|\bSIGSYS\b|status=31/SYS|audit.*type=1326"
)
"""What no fault excuses: an error that nobody handled, a system call that nobody expected."""

_KERNEL = re.compile(r"\[\s*([0-9]+\.[0-9]+)\] (.*(?:type=1326|segfault at|traps: ).*)")
_PROCESS = re.compile(r"\bpid=([0-9]+)|\[([0-9]+)\]")


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the journal."""

    time: float
    """Unix seconds."""
    unit: str
    """That it is of or about; empty where it is none of ours."""
    by: str
    """Name of the program that said it."""
    priority: int
    text: str


@dataclass(frozen=True, slots=True)
class Allowed:
    """A warning that a fault brings with it."""

    pattern: str
    """Regular expression, found anywhere in the line."""
    why: str


def entries(text: str) -> Iterator[Entry]:
    """Those of our units and about them, from `journalctl --output=json`. What is no line of it is
    passed over."""
    for line in text.splitlines():
        try:
            found = json.loads(line)
        except ValueError:
            continue
        if not isinstance(found, dict):
            continue
        # systemd.journal-fields(7): what the manager says of a unit has it in UNIT
        named = str(found.get("UNIT") or found.get("_SYSTEMD_UNIT") or "")
        said = found.get("MESSAGE")
        message = bytes(said).decode(errors="replace") if isinstance(said, list) else str(said)
        by = str(found.get("SYSLOG_IDENTIFIER") or found.get("_COMM") or "")
        if not OURS.fullmatch(named):
            # a unit's file is named in the words where it is read, before there is a unit
            match = OURS.search(message) if by.startswith("systemd") else None
            if match is None:
                continue
            named = match[0]
        time = int(found.get("__REALTIME_TIMESTAMP", 0)) / 1e6
        yield Entry(time, named, by, int(found.get("PRIORITY", 6)), message)


def remarks(found: Iterable[Entry]) -> list[str]:
    """What systemd did not take as the units say it."""
    return [f"{each.unit}: {each.text}" for each in found
            if each.by.startswith("(") or each.by.startswith("systemd")
            if _REMARKS.search(each.text)]  # fmt: skip


def broken(found: Iterable[Entry]) -> list[str]:
    """Errors that nobody handled, and refused system calls."""
    return [f"{each.unit}: {each.text}" for each in found if _BROKEN.search(each.text)]


def kernel(text: str, since: float, ours: Container[int]) -> list[str]:
    """Refused system calls and crashes of `ours`, process ids, in what dmesg(1) says, from that
    uptime on, seconds. Those of other programs of the machine are theirs."""
    found = []
    for match in filter(None, map(_KERNEL.match, text.splitlines())):
        process = _PROCESS.search(match[2])
        if float(match[1]) >= since and (process is None or int(process[1] or process[2]) in ours):
            found.append(match[2])
    return found


def unexpected(found: Iterable[Entry], allowed: Iterable[Allowed]) -> list[str]:
    """Warnings and worse that no fault explains, and how often each came: `3 x unit: text`."""
    patterns = [re.compile(each.pattern) for each in allowed]
    counted = Counter(
        f"{each.unit}: {each.text}"
        for each in found
        if each.priority <= WARNING and not any(one.search(each.text) for one in patterns)
    )
    return [f"{times} x {text}" for text, times in counted.most_common()]


def a_minute(found: Iterable[Entry], unit: str) -> int:
    """The most lines that a unit wrote in any one minute."""
    times = sorted(each.time for each in found if each.unit == unit)
    most, first = 0, 0
    for last, time in enumerate(times):
        while times[first] < time - 60.0:
            first += 1
        most = max(most, last - first + 1)
    return most
