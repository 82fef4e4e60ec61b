"""Numba's compiler: started before other libraries are loaded, its code given back afterwards.

LLVM is the largest part of the process, and needed for a moment only: to load the machine code of
a kernel, or to compile it. Its highest demand comes when it starts; what is loaded later then takes
the place of the code that was given back, instead of adding to it.

Importing this module starts it, so import it first. Nothing happens where Numba compiles nothing
(NUMBA_DISABLE_JIT).
"""

from __future__ import annotations

import ctypes
import mmap
from pathlib import Path

from llvmlite.binding.ffi import get_library_name  # type: ignore[import-untyped]
from numba import config

from agent.kernels.machine_code import kernel

_SEGMENT = 1
_WRITABLE = 2
"""PT_LOAD and PF_W of elf(5)."""


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


class _Object(ctypes.Structure):
    """The beginning of struct dl_phdr_info of dl_iterate_phdr(3)."""

    _fields_ = (
        ("base", ctypes.c_uint64),
        ("name", ctypes.c_char_p),
        ("headers", ctypes.POINTER(_ProgramHeader)),
        ("count", ctypes.c_uint16),
    )


_VISITOR = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(_Object), ctypes.c_size_t, ctypes.c_void_p)


def read_only_segments(library: str) -> list[tuple[int, int]]:
    """Address and length, in whole pages, of what a loaded library maps and may never write.

    Not from /proc/self/maps: that also shows as read-only what was written while it was linked.
    """
    found: list[tuple[int, int]] = []

    def visit(loaded: ctypes._Pointer[_Object], _size: int, _data: int | None) -> int:
        one = loaded.contents
        if Path((one.name or b"").decode(errors="replace")).name != library:
            return 0
        for header in one.headers[: one.count]:
            if header.type == _SEGMENT and not header.flags & _WRITABLE:
                first = one.base + header.address
                start = first - first % mmap.PAGESIZE
                end = first + header.in_file
                found.append((start, end - end % mmap.PAGESIZE - start))
        return 1

    ctypes.CDLL(None).dl_iterate_phdr(_VISITOR(visit), None)
    return [(start, length) for start, length in found if length > 0]


def release() -> int:
    """Give the pages of LLVM's code and constants back, and those that it freed of the heap; return
    how many bytes of the former were offered.

    They are clean pages of a file, and come back from it when something is compiled again.
    """
    libc = ctypes.CDLL(None)
    if hasattr(libc, "malloc_trim"):  # the GNU C library's
        libc.malloc_trim(ctypes.c_size_t(0))
    if ctypes.sizeof(ctypes.c_void_p) != 8:
        return 0  # the structures above are those of 64 bits
    offered = 0
    for start, length in read_only_segments(get_library_name()):
        place, size = ctypes.c_void_p(start), ctypes.c_size_t(length)
        # refused where the process has locked its memory (`agent.host.swap`), which is no harm
        if not libc.madvise(place, size, mmap.MADV_DONTNEED):
            offered += length
    return offered


@kernel()
def _nothing(number: float) -> float:  # pragma: no cover
    return number


if not config.DISABLE_JIT:
    release()  # importing ran through all of LLVM's registrations
    _nothing(0.0)
    release()
