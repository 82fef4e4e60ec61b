"""Keeping pictures out of swap: a swapped page of the perceive process would be a frame on a disk.

As a service, systemd's MemorySwapMax=0 keeps its pages in memory, where the kernel counts memory by
control group (Raspberry Pi OS boots without that). Elsewhere the process locks its memory.
"""

from __future__ import annotations

import ctypes
import logging
import os
import resource
from dataclasses import dataclass
from pathlib import Path

from agent.base.errors import reason
from agent.host.sandbox import kernel

log = logging.getLogger(__name__)

_MCL_CURRENT, _MCL_FUTURE, _MCL_ONFAULT = 1, 2, 4
_CAP_IPC_LOCK = 14


@dataclass(frozen=True, slots=True)
class SwapAreas:
    """The swap areas in use, by where their pages end."""

    disk: tuple[str, ...]
    """Partitions and files; also compressed memory that is written back to a disk."""
    memory: tuple[str, ...]
    """zram only: compressed memory."""


def areas(table: Path = Path("/proc/swaps"), block: Path = Path("/sys/block")) -> SwapAreas:
    """What proc(5) lists. zswap is a cache before a disk and changes nothing."""
    try:
        lines = table.read_text(encoding="utf-8", errors="replace").splitlines()[1:]
    except OSError:
        return SwapAreas((), ())
    names = [line.split()[0] for line in lines if line.strip()]
    memory = tuple(name for name in names if _in_memory(Path(name), block))
    return SwapAreas(tuple(name for name in names if name not in memory), memory)


def _in_memory(device: Path, block: Path) -> bool:
    """Whether this is zram without a disk behind it (CONFIG_ZRAM_WRITEBACK)."""
    if not device.name.startswith("zram") or device.parent != Path("/dev"):
        return False
    try:
        backing = (block / device.name / "backing_dev").read_text(encoding="ascii").strip()
    except OSError:
        return True
    return backing in ("", "none")


def forbidden(
    groups: Path = Path("/proc/self/cgroup"), mounted: Path = Path("/sys/fs/cgroup")
) -> bool:
    """Whether this process's control group, or one above it, may use no swap (cgroup v2)."""
    try:
        lines = groups.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return False
    own = next((line[3:] for line in lines if line.startswith("0::/")), "")
    for folder in (Path(own), *Path(own).parents) if own else ():
        try:
            limit = (mounted / str(folder).lstrip("/") / "memory.swap.max").read_text()
        except OSError:
            continue
        if limit.strip() == "0":
            return True
    return False


def counted(mounted: Path = Path("/sys/fs/cgroup")) -> bool:
    """Whether this kernel counts memory by control group (v2), so that MemorySwapMax= has an
    effect."""
    try:
        return "memory" in (mounted / "cgroup.controllers").read_text(encoding="ascii").split()
    except OSError:
        return False


def may_lock() -> bool:
    """Whether this process may lock all of its memory. A finite RLIMIT_MEMLOCK does not do: once it
    is used up, every further allocation would fail (mlockall(2))."""
    if resource.getrlimit(resource.RLIMIT_MEMLOCK)[0] == resource.RLIM_INFINITY:
        return True
    return bool(_capabilities() >> _CAP_IPC_LOCK & 1)


def limit() -> str:
    """RLIMIT_MEMLOCK, for people."""
    number = resource.getrlimit(resource.RLIMIT_MEMLOCK)[0]
    size = "unlimited" if number == resource.RLIM_INFINITY else f"{number // 1024} KiB"
    return f"RLIMIT_MEMLOCK is {size}"


def _capabilities() -> int:
    """The effective ones, as bits (capabilities(7))."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines()
        return next((int(line.split()[1], 16) for line in lines if line.startswith("CapEff:")), 0)
    except (OSError, ValueError):
        return 0


def lock() -> None:
    """Keep every page of this process in memory, as it is touched (MCL_ONFAULT, Linux 4.4); holds
    for this process until it ends, not for its children. Raises `OSError`."""
    if kernel.LIBC.mlockall(_MCL_CURRENT | _MCL_FUTURE | _MCL_ONFAULT) != 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))


def keep_out() -> bool:
    """Lock this process's memory where it could be swapped to a disk; one line in the log where it
    cannot. Returns whether its pages stay in memory. Never raises."""
    found = areas()
    if not found.disk or forbidden():
        return True
    try:
        if may_lock():
            lock()
            return True
        why = limit()
    except OSError as error:
        why = reason(error)
    log.warning(
        "Pictures may be swapped to %s: this process cannot lock its memory (%s). Turn swap off, "
        "raise the limit (memlock in limits.conf), or run it as the systemd unit does.",
        ", ".join(found.disk),
        why,
    )
    return False
