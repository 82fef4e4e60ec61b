"""Recorders of what leaves: every byte on a TCP connection, every file below some folders.

inotify(7) reports each change of a file, upon which it is copied; at the end the folders are
compared with what they held before. A file that exists only for a moment may be missed; strace
sees those.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import socket
import socketserver
import stat
import threading
from collections.abc import Iterable
from pathlib import Path

from inotify_simple import INotify, flags

from agent.desk.audit._artifacts import Artifact, Kind

_MOST_SENT = 64_000_000
"""Bytes kept of one direction of a connection; an honest one has some thousands."""
_MOST_COPIES = 256_000_000
"""Bytes of copies that are kept."""
_LARGEST = 64_000_000
"""Bytes of one file that are read."""
_MASK = flags.CREATE | flags.MODIFY | flags.CLOSE_WRITE | flags.MOVED_TO

KERNELS = Path(__file__).resolve().parents[2] / "vision" / "kernels" / "__pycache__"
"""Where Numba caches compiled kernels, unless told otherwise."""
_OUTBOX = re.compile(
    r"outbox/(outbox\.db(-wal|-shm|-journal|\.lock)?|\.?(settings\.json|receipt\.key)(\.[a-z0-9_]{3,8})?)"
)
"""The last: written under another name first, then renamed."""
_PROBE = re.compile(r"(tmp|cwd|home|cache)/[a-z0-9_]{8}")
"""Python's `tempfile` tries whether a folder can be written, with four bytes."""
_KERNEL = re.compile(r".+\.(nbi|nbc)(\.\w+)*|tmp\w+|\w*\.pyc(\.\d+)?")
_NAMELESS = re.compile(r"#\d+")
"""Inode number of a file opened with O_TMPFILE, which has no name."""


class TcpProxy(socketserver.ThreadingTCPServer):
    """Forwards connections from 127.0.0.1 to the broker and keeps every byte of both directions."""

    def __init__(self, broker: int) -> None:
        """`broker`: its port on this machine."""
        super().__init__(("127.0.0.1", 0), _Connection)
        self.broker = broker
        self.port = int(self.server_address[1])
        self.connections: list[tuple[bytearray, bytearray]] = []
        """Bytes to and from the broker."""
        self.sockets: list[socket.socket] = []

    def artifacts(self) -> list[Artifact]:
        """One per connection and direction."""
        found = []
        for number, (sent, answered) in enumerate(self.connections, 1):
            found.append(Artifact(f"uplink to broker, connection {number}", "wire", bytes(sent)))
            found.append(
                Artifact(f"broker to uplink, connection {number}", "reply", bytes(answered))
            )
        return found

    @property
    def full(self) -> bool:
        """More was sent than is kept."""
        return any(len(each) >= _MOST_SENT for pair in self.connections for each in pair)

    def __enter__(self) -> TcpProxy:
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        for each in self.sockets:
            _shut(each)
        self.server_close()  # waits for the connections' threads


class _Connection(socketserver.BaseRequestHandler):
    """Forwards one connection until either side ends it."""

    def handle(self) -> None:
        proxy, client = self.server, self.request
        assert isinstance(proxy, TcpProxy)
        with contextlib.suppress(OSError):
            broker = socket.create_connection(("127.0.0.1", proxy.broker))
            proxy.sockets += [client, broker]
            sent, answered = bytearray(), bytearray()
            proxy.connections.append((sent, answered))
            with broker:
                back = threading.Thread(target=_forward, args=(broker, client, answered))
                back.start()
                _forward(client, broker, sent)
                back.join()


def _forward(source: socket.socket, target: socket.socket, kept: bytearray) -> None:
    """What arrives is kept before it is passed on."""
    with contextlib.suppress(OSError):
        while part := source.recv(65_536):
            kept += part[: _MOST_SENT - len(kept)]
            target.sendall(part)
    _shut(source)
    _shut(target)


def _shut(each: socket.socket) -> None:
    with contextlib.suppress(OSError):
        each.shutdown(socket.SHUT_RDWR)


class FileRecorder:
    """Copies files as they change, between entering and leaving."""

    def __init__(self, folders: Iterable[Path], store: Path) -> None:
        """`folders` are watched with all below; `store`: where copies go, outside of them."""
        self.copies: list[tuple[Path, Path]] = []
        """(original path, copy), in the order of time."""
        self.touched: set[Path] = set()
        """Every file that was made or changed."""
        self.complete = True
        """False when events were lost or there was no room for more copies."""
        self.available = True
        """False where inotify cannot be used: only files left at the end are seen."""
        self._folders = list(folders)
        self._store = store
        self._watched: dict[int, Path] = {}
        self._seen: set[bytes] = set()
        self._copied = 0
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._loop, daemon=True)

    def __enter__(self) -> FileRecorder:
        self._store.mkdir(parents=True, exist_ok=True)
        self._before = self._state()
        try:
            self._inotify = INotify()
        except OSError:
            self.available = False
            return self
        for folder in self._folders:
            self._watch(folder)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.available:
            self._stopping.set()
            self._thread.join()
            self._inotify.close()
        for path, mark in self._state().items():
            if self._before.get(path) != mark:
                self._copy(path)

    def _state(self) -> dict[Path, tuple[int, int, int]]:
        """Inode, size and time of every file and link below the folders."""
        found = {}
        for folder in self._folders:
            for parent, _, names in os.walk(folder):
                for path in (Path(parent) / name for name in names):
                    with contextlib.suppress(OSError):
                        info = path.lstat()
                        if stat.S_ISREG(info.st_mode) or stat.S_ISLNK(info.st_mode):
                            found[path] = info.st_ino, info.st_size, info.st_mtime_ns
        return found

    def _watch(self, folder: Path, new: bool = False) -> None:
        """A folder and all below; of a `new` one, files may have come before it was watched."""
        try:
            self._watched[self._inotify.add_watch(folder, _MASK)] = folder
        except OSError:
            self.complete = self.complete and not folder.is_dir()
            return
        with contextlib.suppress(OSError):
            for each in folder.iterdir():
                if each.is_dir() and not each.is_symlink():
                    self._watch(each, new)
                elif new and each.is_file():
                    self._copy(each)

    def _loop(self) -> None:
        try:
            while not self._stopping.is_set():
                self._handle(timeout=200)
            self._handle(timeout=0)
        except OSError:  # there is no room for a copy
            self.complete = False

    def _handle(self, timeout: int) -> None:
        changed: dict[Path, None] = {}  # a file that changed several times is copied once
        for event in self._inotify.read(timeout):
            self.complete = self.complete and not event.mask & flags.Q_OVERFLOW
            folder = self._watched.get(event.wd)
            if folder is None or not event.name:
                continue
            if event.mask & flags.ISDIR:
                self._watch(folder / event.name, new=True)
            else:
                changed[folder / event.name] = None
        for path in changed:
            self._copy(path)

    def _copy(self, path: Path) -> None:
        self.touched.add(path)
        try:
            if not stat.S_ISREG(path.lstat().st_mode):
                return
            with path.open("rb") as file:
                data = file.read(_LARGEST)
        except OSError:
            return
        digest = hashlib.sha256(str(path).encode() + b"\0" + data).digest()
        if digest in self._seen or not data:
            return
        if self._copied + len(data) > _MOST_COPIES:
            self.complete = False
            return
        self._seen.add(digest)
        self._copied += len(data)
        copy = self._store / f"{len(self.copies):05d}-{path.name[:80]}"
        copy.write_bytes(data)
        self.copies.append((path, copy))


def expected(path: Path, run: Path, size: int) -> bool:
    """Whether an honest run in the folder `run` may write this file, with so many bytes."""
    if _NAMELESS.fullmatch(path.name) and not size:
        return True
    if not path.is_relative_to(run):
        return bool(_KERNEL.fullmatch(path.name))
    name = path.relative_to(run).as_posix()
    return bool(_OUTBOX.fullmatch(name)) or (bool(_PROBE.fullmatch(name)) and size <= 4)


def may_open(path: Path, run: Path, kernels: Iterable[Path], written: bool) -> bool:
    """Whether an honest run may open this file for writing; `written`: with bytes written."""
    if path in (Path("/dev/null"), Path("/dev/tty")):
        return True
    if path.is_relative_to(run) or (_NAMELESS.fullmatch(path.name) and not written):
        return expected(path, run, 0)
    in_cache = any(path.is_relative_to(each) for each in kernels)
    return in_cache and bool(_KERNEL.fullmatch(path.name) or _NAMELESS.fullmatch(path.name))


def kind_of(path: Path) -> Kind:
    """What sort of artifact a file is, by its name."""
    if re.search(r"\.nb[ic]", path.name) or path.parent == KERNELS:
        return "kernel"
    kinds: dict[str, Kind] = {
        "outbox.db": "database", "outbox.db-wal": "journal", "outbox.db-journal": "journal",
        "outbox.db-shm": "index",
    }  # fmt: skip
    return kinds.get(path.name, "other")


def short_name(path: Path, run: Path) -> str:
    """Relative to the folder of the run where possible."""
    return path.relative_to(run).as_posix() if path.is_relative_to(run) else str(path)
