"""Arms the calls that fail (`faults.c`), and builds the library that lets them."""

from __future__ import annotations

import mmap
import os
import shutil
import struct
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tools.common.errors import ToolError

SOURCE = Path(__file__).with_name("faults.c")
OPEN, CREATE, READ, WRITE, SYNC, RENAME, REMOVE = 1, 2, 4, 8, 16, 32, 64
"""Kinds of calls, as in `faults.c`: opening to read; opening to write or making a folder; reading;
writing and cutting; fsync; renaming and linking; removing."""
FOREVER = 2**31 - 1
_HEAD = struct.Struct("7i")
SIZE = 4096


def build(folder: Path) -> Path:
    """The compiled library. Raises `ToolError`."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        raise ToolError("No C compiler is installed. Install it: apt install gcc libc6-dev.")
    target = folder / "faults.so"
    done = subprocess.run(
        [compiler, "-O1", "-shared", "-fPIC", "-o", str(target), str(SOURCE), "-ldl"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise ToolError(f"{SOURCE.name} cannot be compiled: {done.stderr[:300]}")
    return target


@dataclass(frozen=True, slots=True)
class Fault:
    """What fails: `span` calls of these kinds from the `number`-th on."""

    kinds: int
    number: int
    span: int
    error: int
    torn: bool = False
    """Whether half of a failing write is written."""


class Control:
    """The memory that is shared with `faults.c`."""

    def __init__(self, path: Path) -> None:
        """`path`: made where it does not exist; the processes have it in $FAULTS."""
        number = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.ftruncate(number, SIZE)
            self._memory = mmap.mmap(number, SIZE)
        finally:
            os.close(number)

    def watch(self, folder: Path) -> None:
        """Concern the files of this folder that are opened from now on."""
        name = f"{folder}/".encode()
        self._memory[_HEAD.size : _HEAD.size + len(name) + 1] = name + b"\0"

    def arm(self, fault: Fault) -> None:
        self._memory[: _HEAD.size] = _HEAD.pack(
            fault.kinds, fault.number, fault.span, fault.error, fault.torn, 0, 0
        )

    def disarm(self) -> int:
        """The disk is well again; how many calls have failed."""
        failed: int = _HEAD.unpack(self._memory[: _HEAD.size])[6]
        self._memory[: _HEAD.size] = bytes(_HEAD.size)
        return failed
