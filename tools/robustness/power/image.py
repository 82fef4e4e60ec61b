"""A file system of its own, in a file that is copied at an instant: a disk after a power cut."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path

from tools.common.errors import ToolError

_SIZE = 24 * 2**20
_WITHIN = 10.0
"""Seconds until nothing uses it any more."""
_TRIES = 20
"""Copies until nothing was written during one."""


class Image:
    """An ext4 image, mounted at `place`. Raises `ToolError`."""

    def __init__(self, folder: Path, size: int = _SIZE) -> None:
        self.place = folder / "disk"
        self._file, self._copied = folder / "disk.img", folder / "copy.img"
        self.place.mkdir()
        with self._file.open("wb") as file:
            file.truncate(size)
        self._run("mkfs.ext4", "-q", "-F", str(self._file))
        self._mount()

    def copy(self) -> None:
        """What is on the disk now. Whoever writes there must have been held before; the kernel may
        still write what it was told, so a copy during which it did is no moment, and made again."""
        for _ in range(_TRIES):
            before = os.stat(self._file).st_mtime_ns
            shutil.copyfile(self._file, self._copied)
            if os.stat(self._file).st_mtime_ns == before:
                return

    def use_copy(self) -> None:
        """Mount the copy instead, whose journal is then replayed."""
        self.close()
        os.replace(self._copied, self._file)
        self._mount()

    def faults(self) -> str:
        """What fsck finds once the journal was replayed; empty where the file system is whole. It
        is not mounted meanwhile."""
        self.close()
        done = subprocess.run(
            ["e2fsck", "-f", "-n", str(self._file)], capture_output=True, text=True, check=False
        )
        self._mount()
        return "" if done.returncode == 0 else (done.stdout + done.stderr)[-1000:]

    def close(self) -> None:
        """Unmount."""
        until = time.monotonic() + _WITHIN
        while subprocess.run(["umount", str(self.place)], capture_output=True).returncode:
            if time.monotonic() > until:
                raise ToolError(f"{self.place} is in use and cannot be unmounted.")
            time.sleep(0.05)

    def _mount(self) -> None:
        self._run("mount", "-o", "loop", str(self._file), str(self.place))

    @staticmethod
    def _run(*command: str) -> None:
        try:
            subprocess.run(command, check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError) as error:
            said = getattr(error, "stderr", b"") or b""
            raise ToolError(
                f"No power can be cut here: {command[0]} failed "
                f"({said.decode(errors='replace').strip() or error}). It needs root, ext4 and loop "
                "devices."
            ) from None
