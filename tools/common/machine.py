"""Description of the machine that a measurement ran on."""

from __future__ import annotations

import os
import platform
import re
from pathlib import Path
from typing import TypedDict


class Machine(TypedDict):
    """A virtual machine's processor is as its hypervisor names it."""

    name: str
    cores: int
    system: str
    load: float
    """Runnable processes over the last minute, when the measurement began."""


def machine() -> Machine:
    """This one."""
    return {
        "name": _board() or _processor(),
        "cores": os.cpu_count() or 1,
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "load": round(os.getloadavg()[0], 2),
    }


def line(found: Machine) -> str:
    """One line for the head of a report."""
    return f"{found['name']}, {found['cores']} cores, {found['system']}, load {found['load']}\n"


def instructions() -> str:
    """`with VNNI`, `without VNNI` (8-bit dot products of x86-64), or the kind of processor."""
    if platform.machine() != "x86_64":
        return platform.machine()
    try:
        known = "avx512_vnni" in Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.machine()
    return "with VNNI" if known else "without VNNI"


def slug(found: Machine) -> str:
    """A file name for it."""
    return f"{words_of(found['name'])}-{found['cores']}c"


def words_of(text: str) -> str:
    """Lower case, words joined by dashes."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def _board() -> str:
    try:
        return Path("/proc/device-tree/model").read_text(encoding="utf-8").rstrip("\0\n ")
    except OSError:
        return ""


def _processor() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        text = ""
    match = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return match[1].strip() if match else platform.processor() or platform.machine()
