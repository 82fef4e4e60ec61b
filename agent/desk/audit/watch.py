"""Every file that is written below some folders, also those that are gone again at the end.

inotify(7) says that a file changed; a copy is made at once, and at the end of all that is there. A
file that is written and removed within a moment may be missed: system calls are traced for that
where strace can be used.
"""

from __future__ import annotations

import contextlib
import ctypes
import ctypes.util
import hashlib
import os
import select
import stat
import struct
import threading
from collections.abc import Iterable
from pathlib import Path

_CREATE, _MODIFY, _CLOSE_WRITE, _MOVED_TO, _DELETE = 0x100, 0x2, 0x8, 0x80, 0x200
_ISDIR, _OVERFLOW = 0x40000000, 0x4000
_MASK = _CREATE | _MODIFY | _CLOSE_WRITE | _MOVED_TO
_EVENT = struct.Struct("iIII")
_LIBC = ctypes.CDLL(None, use_errno=True)
MOST_COPIES = 256_000_000
"""Bytes of copies that are kept."""
_LARGEST = 64_000_000
"""Bytes of one file that are read."""


class Watcher:
    """Copies files as they change, between entering and leaving.

    `complete` is False when events were lost or there was no room for more copies.
    """

    def __init__(self, folders: Iterable[Path], store: Path) -> None:
        """`folders` are watched with all below; `store`: where copies go, outside of them."""
        self._folders = list(folders)
        self._store = store
        self._names: dict[int, Path] = {}
        self._seen: set[str] = set()
        self._copied = 0
        self.copies: list[tuple[Path, Path]] = []
        """(the file as it was called, its copy), in the order of time."""
        self.touched: set[Path] = set()
        """Every file that was made or changed."""
        self.complete = True
        self.available = True
        self._stopping = threading.Event()
        self._before: dict[Path, tuple[int, int, int]] = {}
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._loop, daemon=True)

    def __enter__(self) -> Watcher:
        self._store.mkdir(parents=True, exist_ok=True)
        self._before = dict(self._files())
        self._fd = int(_LIBC.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC))
        self.available = self._fd >= 0
        if self.available:
            for folder in self._folders:
                self._watch(folder)
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        if self.available:
            self._thread.join(10.0)
            os.close(self._fd)
        for path, mark in self._files():
            if self._before.get(path) != mark:
                self.touched.add(path)
                self._copy(path)

    def changed(self) -> set[Path]:
        """Files that are there now and were not, or otherwise, at the start."""
        return {path for path, mark in self._files() if self._before.get(path) != mark}

    def _files(self) -> list[tuple[Path, tuple[int, int, int]]]:
        found = []
        for folder in self._folders:
            for parent, _, names in os.walk(folder):
                for name in names:
                    path = Path(parent) / name
                    with contextlib.suppress(OSError):
                        info = path.lstat()
                        if stat.S_ISREG(info.st_mode) or stat.S_ISLNK(info.st_mode):
                            found.append((path, (info.st_ino, info.st_size, info.st_mtime_ns)))
        return found

    def _watch(self, folder: Path) -> None:
        number = _LIBC.inotify_add_watch(self._fd, os.fsencode(folder), _MASK)
        if number < 0:
            self.complete = self.complete and not folder.is_dir()
            return
        self._names[number] = folder
        with contextlib.suppress(OSError):
            for each in folder.iterdir():
                if each.is_dir() and not each.is_symlink():
                    self._watch(each)

    def _loop(self) -> None:
        while True:
            ready, _, _ = select.select([self._fd], [], [], 0.2)
            if not ready:
                if self._stopping.is_set():
                    return
                continue
            with contextlib.suppress(OSError):
                self._take(os.read(self._fd, 65_536))

    def _take(self, events: bytes) -> None:
        at = 0
        waiting: dict[Path, None] = {}
        while at < len(events):
            number, mask, _, size = _EVENT.unpack_from(events, at)
            name = events[at + _EVENT.size : at + _EVENT.size + size].rstrip(b"\0")
            at += _EVENT.size + size
            if mask & _OVERFLOW:
                self.complete = False
            folder = self._names.get(number)
            if folder is None or not name:
                continue
            path = folder / os.fsdecode(name)
            if mask & _ISDIR:
                self._watch(path)
                self._catch_up(path)
            else:
                waiting[path] = None
        for path in waiting:
            self.touched.add(path)
            self._copy(path)

    def _catch_up(self, folder: Path) -> None:
        """Files that came into a new folder before it was watched."""
        with contextlib.suppress(OSError):
            for each in folder.iterdir():
                if each.is_dir() and not each.is_symlink():
                    self._watch(each)
                    self._catch_up(each)
                elif each.is_file():
                    self.touched.add(each)
                    self._copy(each)

    def _copy(self, path: Path) -> None:
        try:
            if not stat.S_ISREG(path.lstat().st_mode):
                return
            with path.open("rb") as file:
                data = file.read(_LARGEST)
        except OSError:
            return
        digest = hashlib.sha256(str(path).encode() + b"\0" + data).hexdigest()
        with self._lock:
            if digest in self._seen or not data:
                return
            if self._copied + len(data) > MOST_COPIES:
                self.complete = False
                return
            self._seen.add(digest)
            self._copied += len(data)
            copy = self._store / f"{len(self.copies):05d}-{path.name[:80]}"
            copy.write_bytes(data)
            self.copies.append((path, copy))
