"""Pages of files that a process maps and has not changed, given back to the system.

Libraries run through far more of themselves when they start than when they work. What is needed
again comes back from the page cache, or from the file.
"""

from __future__ import annotations

import ctypes
import mmap
import re
from collections.abc import Callable, Iterator
from pathlib import Path

_MAPPING = re.compile(
    r"^(?P<first>[0-9a-f]+)-(?P<last>[0-9a-f]+) (?P<rights>\S{4}) \S+ \S+ \d+ +(?P<path>/.*)\n"
    r"(?:.*\n)*?Anonymous: +(?P<changed>\d+) kB\n(?:.*\n)*?Swap: +(?P<swapped>\d+) kB$",
    re.MULTILINE,
)
"""Of smaps, proc(5)."""


def any_file(path: str) -> bool:
    """Every one."""
    return True


def unchanged(chosen: Callable[[str], bool] = any_file) -> Iterator[tuple[int, int]]:
    """Address and length of what is mapped from files, may not be written, and was not while it was
    linked. `chosen`: by path. None where /proc does not say it."""
    try:
        text = Path("/proc/self/smaps").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return
    for found in _MAPPING.finditer(text):
        kept = "w" not in found["rights"] and found["changed"] == found["swapped"] == "0"
        if kept and chosen(found["path"]):
            first = int(found["first"], 16)
            yield first, int(found["last"], 16) - first


def give_back(chosen: Callable[[str], bool] = any_file) -> int:
    """Offer these pages, and what malloc(3) holds free; return how many bytes of the former were
    taken. Refused where the process has locked its memory (`agent.host.swap`), which is no harm."""
    libc = ctypes.CDLL(None)
    if hasattr(libc, "malloc_trim"):  # the GNU C library's
        libc.malloc_trim(ctypes.c_size_t(0))
    offered = 0
    for start, length in unchanged(chosen):
        if not libc.madvise(ctypes.c_void_p(start), ctypes.c_size_t(length), mmap.MADV_DONTNEED):
            offered += length
    return offered
