"""What running processes hold, as /proc says (proc(5))."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

_MAPPING = re.compile(
    r"^[0-9a-f]+-[0-9a-f]+ \S{4} \S+ \S+ [1-9]\d* +(/.*)\n"  # an inode: a file
    r"(?:.*\n)*?Rss: +(\d+) kB\n(?:.*\n)*?Anonymous: +(\d+) kB$",
    re.MULTILINE,
)
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Held:
    """By one process, or several together. Memory in KiB."""

    rss: int
    """Pages in memory; those that several processes share count in each."""
    pss: int
    """Likewise, shared pages divided among those that map them."""
    memory: int
    """Anonymous and shared memory alone, each page counted once."""
    descriptors: int
    threads: int
    files: Mapping[str, int]
    """Pages of each mapped file, those that were changed apart, by its name."""
    cpu: float
    """Seconds of processor time so far, without those of children."""


def below(pid: int) -> Iterator[int]:
    """The processes that a process has started, and theirs."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return
    for each in map(int, children):
        yield each
        yield from below(each)


def state(pid: int) -> str:
    """A letter; Z: a zombie; empty: there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return ""


def descriptors(pid: int) -> int:
    """Open files of a process; 0 where there is none."""
    try:
        return len(os.listdir(f"/proc/{pid}/fd"))
    except OSError:
        return 0


def memory(pid: int) -> dict[str, int]:
    """Each line of smaps_rollup, KiB; empty where there is no process."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    except OSError:
        return {}
    return {name: int(rest.split()[0]) for name, _, rest in (each.partition(":") for each in lines)}


def own_memory(pid: int) -> int:
    """KiB of anonymous and shared memory."""
    found = memory(pid)
    return found.get("Pss_Anon", 0) + found.get("Pss_Shmem", 0)


def held(pid: int) -> Held | None:
    """By a process; None where there is none."""
    found = memory(pid)
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    if not found:
        return None
    return Held(
        rss=found.get("Rss", 0),
        pss=found.get("Pss", 0),
        memory=found.get("Pss_Anon", 0) + found.get("Pss_Shmem", 0),
        descriptors=descriptors(pid),
        files=_files(pid),
        threads=int(fields[17]),
        cpu=(int(fields[11]) + int(fields[12])) / _TICKS,
    )


def together(processes: Iterable[Held]) -> int:
    """KiB that processes hold together, each page once, whatever else runs on this machine: PSS
    divides a library's pages among strangers too."""
    each = list(processes)
    names = {name for one in each for name in one.files}
    shared = sum(max(one.files.get(name, 0) for one in each) for name in names)
    return shared + sum(one.memory for one in each)


def _files(pid: int) -> dict[str, int]:
    found: dict[str, int] = {}
    try:
        text = Path(f"/proc/{pid}/smaps").read_text(errors="replace")
    except OSError:
        return found
    for name, rss, anonymous in _MAPPING.findall(text):
        if not name.startswith("/dev/shm/") and "(deleted)" not in name:
            found[name] = found.get(name, 0) + int(rss) - int(anonymous)
    return found
