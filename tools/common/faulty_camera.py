"""A V4L2 camera that is a preloaded library, and fails on request."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from tools.common.errors import ToolError

SOURCE = Path(__file__).with_suffix(".c")
NAMES = (
    "none", "hangs in read", "hangs in close", "ignores SIGTERM, at full load",
    "one frame for ever", "half a frame", "wrong size", "crashes", "fills its descriptors",
    "green", "hangs in open", "unplugged", "exits", "black",
)  # fmt: skip
"""Faults by number, as in the C source."""


def compiler() -> str | None:
    """A C compiler, if one is installed."""
    return shutil.which("cc") or shutil.which("gcc")


def build(folder: Path) -> Path:
    """The camera, compiled. Raises `ToolError`."""
    found = compiler()
    if found is None:
        raise ToolError("The camera of this test is compiled: install a C compiler (gcc).")
    target = folder / "faulty_camera.so"
    done = subprocess.run(
        [found, "-O2", "-shared", "-fPIC", "-o", str(target), str(SOURCE), "-ldl"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise ToolError(f"The camera of this test does not compile: {done.stderr.strip()[:300]}")
    return target
