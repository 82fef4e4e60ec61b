"""How much memory an emulated process holds, its emulator's own left out.

The host's /proc/PID/smaps counts both: QEMU's translation cache and tables beside the program's
pages. What a program under QEMU reads in its own /proc/self/maps are only its own ranges, at the
addresses at which they lie in the host process. So of the host's mappings those count that lie in
these ranges.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tools.common.errors import ToolError

_RANGE = re.compile(r"^([0-9a-f]+)-([0-9a-f]+) (\S{4}) \S+ \S+ \d+\s*(.*)$", re.MULTILINE)
_SIZE = re.compile(r"^(Rss|Pss|AnonHugePages):\s+(\d+) kB$", re.MULTILINE)
Ranges = list[tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Held:
    """Of one process; bytes."""

    rss: float
    """The program's own pages in memory."""
    pss: float
    """The same, pages that several processes map divided among them."""
    emulator: float
    """What its emulator holds beside (RSS)."""
    files: Mapping[str, float]
    """Of `rss`, what files hold, by their names: such pages are shared."""


def together(processes: Iterable[Held]) -> float:
    """Bytes that several processes hold, a file's pages once: of each file the most that one of
    them has in memory."""
    each = list(processes)
    names = {name for one in each for name in one.files}
    shared = sum(max(one.files.get(name, 0.0) for one in each) for name in names)
    return shared + sum(one.rss - sum(one.files.values()) for one in each)


def guest_ranges(text: str) -> tuple[int, Ranges]:
    """Process number and ranges in what `tools.arm64.guest watched` wrote. Raises `ToolError`."""
    number, _, maps = text.partition("\n")
    found = [(int(each[1], 16), int(each[2], 16)) for each in _RANGE.finditer(maps)]
    if not number.isdigit() or not found:
        raise ToolError("The emulated process wrote down no memory map; has it ended?")
    return int(number), found


def held(smaps: str, ranges: Ranges) -> Held:
    """Divide the host's mappings. One that reaches beyond a range counts by its share of bytes.
    Raises `ToolError` where the emulator put the program elsewhere than it says."""
    heads = list(_RANGE.finditer(smaps))
    rss = pss = other = covered = 0.0
    files: dict[str, float] = {}
    for at, head in enumerate(heads):
        end = heads[at + 1].start() if at + 1 < len(heads) else len(smaps)
        sizes = {each[1]: 1024 * int(each[2]) for each in _SIZE.finditer(smaps, head.end(), end)}
        low, high = int(head[1], 16), int(head[2], 16)
        inside = sum(max(0, min(high, to) - max(low, since)) for since, to in ranges)
        share = min(1.0, inside / (high - low))
        covered += share * (high - low)
        rss += share * sizes.get("Rss", 0)
        if head[4].startswith("/"):
            files[head[4]] = files.get(head[4], 0.0) + share * sizes.get("Rss", 0)
        pss += share * sizes.get("Pss", 0)
        other += (1 - share) * sizes.get("Rss", 0)
    if covered < 0.5 * sum(to - since for since, to in ranges):
        raise ToolError("The emulator does not map the program where the program sees itself.")
    return Held(rss, pss, other, files)


def process_of(number: int, ancestor: int, proc: Path = Path("/proc")) -> int:
    """This machine's number of a process that calls itself `number` in its own namespace and
    descends from `ancestor`. Raises `ToolError`."""
    waiting, seen = [ancestor], set[int]()
    while waiting:
        each = waiting.pop()
        if each in seen:
            continue
        seen.add(each)
        try:
            status = (proc / str(each) / "status").read_text(encoding="utf-8")
            children = (proc / str(each) / "task").glob("*/children")
            waiting += [int(word) for path in children for word in path.read_text().split()]
        except OSError:
            continue
        names = re.search(r"^NSpid:\s+(.*)$", status, re.MULTILINE)
        if names and names[1].split()[-1] == str(number) and len(names[1].split()) > 1:
            return each
    raise ToolError(f"The emulated process {number} is not among the processes of this machine.")


def megabytes(size: float) -> str:
    """In words."""
    return f"{size / 1e6:.0f} MB"
