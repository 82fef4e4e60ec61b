"""Processor time of other processes and what they started, read from /proc (proc_pid_stat(5))."""

from __future__ import annotations

import os
from collections import defaultdict
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


class Meter:
    """Adds up seconds of processor time by name, over restarts of what is measured.

    A process that ends takes its times along, so `look` is to be called every second or so.
    """

    def __init__(self) -> None:
        self._roots: dict[str, int] = {}
        self._seen: dict[tuple[str, int, int], float] = {}
        """Seconds by name, process id and start time."""

    def watch(self, name: str, pid: int | None) -> None:
        """Measure this process and its descendants under this name from now on."""
        if pid is not None:
            self._roots[name] = pid

    def look(self) -> None:
        """Take note of the times so far."""
        below: dict[int, list[int]] = defaultdict(list)
        found: dict[int, tuple[int, float]] = {}
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and (read := _read(entry)) is not None:
                parent, begun, seconds = read
                below[parent].append(int(entry.name))
                found[int(entry.name)] = begun, seconds
        for name, root in self._roots.items():
            waiting = [root]
            while waiting:
                pid = waiting.pop()
                waiting += below.get(pid, [])
                if pid in found:
                    begun, seconds = found[pid]
                    self._seen[name, pid, begun] = seconds

    def seconds(self) -> dict[str, float]:
        """By name."""
        self.look()
        total: dict[str, float] = defaultdict(float)
        for (name, _, _), seconds in self._seen.items():
            total[name] += seconds
        return {name: round(seconds, 1) for name, seconds in total.items()}


def _read(entry: Path) -> tuple[int, int, float] | None:
    """Parent, start time in ticks, seconds of user and system time; None: it has ended."""
    try:
        fields = (entry / "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    # The name, in brackets, may hold anything; the third field follows the last bracket.
    words = fields.rpartition(")")[2].split()
    return int(words[1]), int(words[19]), (int(words[11]) + int(words[12])) / _TICKS
