"""Rules of the lists of what each process may do in an audit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Process = Literal["perceive", "uplink"]


@dataclass(frozen=True, slots=True)
class FileRule:
    """Files that may be opened for writing or created."""

    names: str
    """Regular expression of the path below the folder of the run, or of an absolute path."""
    most: int
    """Greatest number of times."""
    processes: tuple[Process, ...] = ("perceive", "uplink")
    refused: bool = False
    """Accepted only where the kernel refuses it: a probe of the sandbox."""


@dataclass(frozen=True, slots=True)
class CallRule:
    """A system call with its arguments."""

    call: str
    arguments: str
    """Regular expression of all arguments as strace prints them, strings decoded, the folder of
    the run written as `RUN`, without AT_FDCWD; {port} is the broker's."""
    most: int
    processes: tuple[Process, ...] = ("perceive", "uplink")
    refused: bool = False
    """Accepted only where the kernel refuses it: a probe of the sandbox."""
