"""System calls without a Python wrapper."""

from __future__ import annotations

import ctypes
import os
import platform
import struct
from pathlib import Path

PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4
PR_SET_NO_NEW_PRIVS = 38
PR_SET_MDWE = 65
PR_MDWE_REFUSE_EXEC_GAIN = 1
CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, CAP_IPC_LOCK = 1, 2, 14
_CAPABILITY_VERSION_3 = 0x20080522

LIBC = ctypes.CDLL(None, use_errno=True)
LIBC.syscall.restype = ctypes.c_long


def syscall(number: int, *arguments: int) -> int:
    """syscall(2); pointers are passed as their address. Raises `OSError`."""
    result: int = LIBC.syscall(*(ctypes.c_long(each) for each in (number, *arguments)))
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return result


def prctl(option: int, value: int) -> None:
    """prctl(2) with one value and zeros. Raises `OSError`."""
    if LIBC.prctl(option, *(ctypes.c_ulong(each) for each in (value, 0, 0, 0))) < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))


def keep_capabilities(*kept: int) -> None:
    """Give up all capabilities of this thread, and of those that it starts, but these
    (capabilities(7)). Raises `OSError`."""
    header = ctypes.create_string_buffer(struct.pack("=Ii", _CAPABILITY_VERSION_3, 0), 8)
    sets = ctypes.create_string_buffer(24)
    if LIBC.capget(header, sets) < 0:
        raise OSError(ctypes.get_errno(), "capget")
    mask = sum(1 << number for number in kept)
    halves = (mask & 0xFFFFFFFF, mask >> 32)
    # effective, permitted, inheritable; first all lower halves, then all upper ones
    found = struct.unpack("=6I", sets.raw)
    left = [0 if at % 3 == 2 else value & halves[at // 3] for at, value in enumerate(found)]
    if left == list(found):
        return  # a service without any may not even set none (SystemCallFilter=)
    sets.raw = struct.pack("=6I", *left)
    if LIBC.capset(header, sets) < 0:
        raise OSError(ctypes.get_errno(), "capset")


def processor() -> str:
    """`platform.machine()`; prefixed with `32-bit` in a 32-bit process, whose system calls have
    other numbers."""
    return platform.machine() if struct.calcsize("P") == 8 else f"32-bit {platform.machine()}"


def status(key: str) -> int:
    """A number from /proc/self/status (proc_pid_status(5)), 0 where absent."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return 0
    found = [line.partition(":")[2].strip() for line in lines if line.startswith(f"{key}:")]
    return int(found[0]) if found and found[0].isdigit() else 0
