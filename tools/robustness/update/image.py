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


class Image:
    """An ext4 image, mounted at `place`. Raises `ToolError`."""

    def __init__(self, folder: Path) -> None:
        self.place = folder / "disk"
        self._file, self._copied = folder / "disk.img", folder / "copy.img"
        self.place.mkdir()
        with self._file.open("wb") as file:
            file.truncate(_SIZE)
        self._run("mkfs.ext4", "-q", "-F", str(self._file))
        self._mount()

    def copy(self) -> None:
        """What is on the disk now. Whoever writes there must have been held before."""
        shutil.copyfile(self._file, self._copied)

    def use_copy(self) -> None:
        """Mount the copy instead, whose journal is then replayed."""
        self.close()
        os.replace(self._copied, self._file)
        self._mount()

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
