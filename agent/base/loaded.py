"""Pages of loaded libraries that nothing ever writes to, given back to the system.

A library runs through far more of itself when it starts than when it works. What is needed again
comes back from the page cache, or from the file.
"""

from __future__ import annotations

import ctypes
import mmap
import os
from collections.abc import Callable, Iterator

_LINK_MAP, _HEADERS = 2, 11
"""RTLD_DI_LINKMAP, RTLD_DI_PHDR of dlinfo(3); the latter since glibc 2.35."""
_SEGMENT, _WRITABLE = 1, 2
"""PT_LOAD, PF_W of elf(5)."""
_END, _TEXT_RELOCATIONS = 0, 22
"""DT_NULL, DT_TEXTREL: code that is written while it is linked."""


class _ProgramHeader(ctypes.Structure):
    """Elf64_Phdr of elf(5)."""

    _fields_ = (
        ("type", ctypes.c_uint32),
        ("flags", ctypes.c_uint32),
        ("offset", ctypes.c_uint64),
        ("address", ctypes.c_uint64),
        ("physical", ctypes.c_uint64),
        ("in_file", ctypes.c_uint64),
        ("in_memory", ctypes.c_uint64),
        ("align", ctypes.c_uint64),
    )


class _Dynamic(ctypes.Structure):
    """Elf64_Dyn."""

    _fields_ = (("tag", ctypes.c_int64), ("value", ctypes.c_uint64))


class _LinkMap(ctypes.Structure):
    """The public beginning of struct link_map, of one library among those that are loaded."""


_LinkMap._fields_ = (
    ("base", ctypes.c_uint64),
    ("path", ctypes.c_char_p),
    ("dynamic", ctypes.POINTER(_Dynamic)),
    ("next", ctypes.POINTER(_LinkMap)),
    ("previous", ctypes.POINTER(_LinkMap)),
)


def every(path: str) -> bool:
    """Whether a library's path is one."""
    return True


def read_only_segments(chosen: Callable[[str], bool] = every) -> Iterator[tuple[int, int]]:
    """Address and length, in whole pages, of what loaded libraries map and never write.

    `chosen`: by path. Asks the dynamic linker: /proc also shows as read-only what was written while
    it was linked, and `dl_iterate_phdr` needs memory to be executable that was written. None
    where addresses do not have 64 bits, and from older linkers.
    """
    libc = ctypes.CDLL(None)
    if ctypes.sizeof(ctypes.c_void_p) != 8 or not hasattr(libc, "dlinfo"):
        return
    one = ctypes.POINTER(_LinkMap)()
    if libc.dlinfo(ctypes.c_void_p(libc._handle), _LINK_MAP, ctypes.byref(one)):
        return
    while one:
        path = os.fsdecode(one.contents.path or b"")
        # the program and the kernel's own page of code have no path
        if path.startswith("/") and chosen(path) and not _relocated(one.contents):
            for header in _headers(libc, path):
                if header.type == _SEGMENT and not header.flags & _WRITABLE:
                    first = one.contents.base + header.address
                    start, end = first - first % mmap.PAGESIZE, first + header.in_file
                    if end - end % mmap.PAGESIZE > start:
                        yield start, end - end % mmap.PAGESIZE - start
        one = one.contents.next


def _headers(libc: ctypes.CDLL, path: str) -> list[_ProgramHeader]:
    try:
        handle = ctypes.CDLL(path, mode=os.RTLD_NOLOAD | os.RTLD_LAZY)._handle
    except OSError:
        return []
    found = ctypes.POINTER(_ProgramHeader)()
    count = libc.dlinfo(ctypes.c_void_p(handle), _HEADERS, ctypes.byref(found))
    return found[:count] if count > 0 else []


def _relocated(one: _LinkMap) -> bool:
    index = 0
    while one.dynamic and (tag := one.dynamic[index].tag) != _END:
        if tag == _TEXT_RELOCATIONS:
            return True
        index += 1
    return False


def trim() -> None:
    """Return to the system whole pages that malloc(3) holds free, wherever they lie."""
    libc = ctypes.CDLL(None)
    if hasattr(libc, "malloc_trim"):  # the GNU C library's
        libc.malloc_trim(ctypes.c_size_t(0))


def give_back(chosen: Callable[[str], bool] = every) -> int:
    """Offer these pages, and what malloc(3) holds free; return how many bytes of the former were
    taken. Refused where the process has locked its memory (`agent.host.swap`), which is no harm."""
    trim()
    libc = ctypes.CDLL(None)
    offered = 0
    for start, length in read_only_segments(chosen):
        if not libc.madvise(ctypes.c_void_p(start), ctypes.c_size_t(length), mmap.MADV_DONTNEED):
            offered += length
    return offered
