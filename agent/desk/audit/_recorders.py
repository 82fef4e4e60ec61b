"""Recorders of TCP connections and of files written below some folders.

Files are copied on each inotify(7) event; at the end the folders are compared with their initial
state. A short-lived file may be missed here, but not by strace.
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

_MAX_TRAFFIC = 64_000_000
"""Bytes recorded per connection and direction; a normal run has some thousands."""
_MAX_COPIES = 256_000_000
"""Bytes of all copies."""
_MAX_FILE = 64_000_000
"""Bytes read of one file."""
_MASK = flags.CREATE | flags.MODIFY | flags.CLOSE_WRITE | flags.MOVED_TO

KERNELS = Path(__file__).resolve().parents[2] / "vision" / "kernels" / "__pycache__"
"""Numba's default cache folder."""
_OUTBOX = re.compile(
    r"outbox/(outbox\.db(-wal|-shm|-journal|\.lock)?"
    r"|(settings\.json|receipt\.key(\.last)?)"
    r"|\.(settings\.json|outbox\.db|receipt\.key(\.last)?)\.[a-z0-9_]{8}(\.tmp)?)"
)
"""The last line: their temporary names, as `base.files` and `uplink.receipt.key` make them."""
_WRITE_TEST = re.compile(r"(tmp|cwd|home|cache)/[a-z0-9_]{8}")
"""Four bytes by which Python's `tempfile` tests whether a folder is writable."""
_KERNEL = re.compile(r".+\.(nbi|nbc)(\.\w+)*|tmp\w+|\w*\.pyc(\.\d+)?")
_UNNAMED = re.compile(r"#\d+")
"""An O_TMPFILE file, shown by its inode number."""


class TcpProxy(socketserver.ThreadingTCPServer):
    """Forwards connections on 127.0.0.1 to the broker and records both directions."""

    def __init__(self, broker: int) -> None:
        """`broker`: its port on 127.0.0.1."""
        super().__init__(("127.0.0.1", 0), _Connection)
        self.broker = broker
        self.port = int(self.server_address[1])
        self.connections: list[tuple[bytearray, bytearray]] = []
        """Bytes to and from the broker."""
        self.sockets: list[socket.socket] = []

    def artifacts(self) -> list[Artifact]:
        """One per connection and direction."""
        found = []
        for number, (sent, received) in enumerate(self.connections, 1):
            found.append(Artifact(f"uplink to broker, connection {number}", "wire", bytes(sent)))
            found.append(
                Artifact(f"broker to uplink, connection {number}", "reply", bytes(received))
            )
        return found

    @property
    def full(self) -> bool:
        """Whether the limit of recorded traffic was reached."""
        return any(len(each) >= _MAX_TRAFFIC for pair in self.connections for each in pair)

    def __enter__(self) -> TcpProxy:
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        for each in self.sockets:
            _shutdown(each)
        self.server_close()  # waits for the connections' threads


class _Connection(socketserver.BaseRequestHandler):
    """Forwards one connection until either side ends it."""

    def handle(self) -> None:
        proxy, client = self.server, self.request
        assert isinstance(proxy, TcpProxy)
        with contextlib.suppress(OSError):
            broker = socket.create_connection(("127.0.0.1", proxy.broker))
            proxy.sockets += [client, broker]
            sent, received = bytearray(), bytearray()
            proxy.connections.append((sent, received))
            with broker:
                back = threading.Thread(target=_forward, args=(broker, client, received))
                back.start()
                _forward(client, broker, sent)
                back.join()


def _forward(source: socket.socket, target: socket.socket, kept: bytearray) -> None:
    """Record data before forwarding it."""
    with contextlib.suppress(OSError):
        while part := source.recv(65_536):
            kept += part[: _MAX_TRAFFIC - len(kept)]
            target.sendall(part)
    _shutdown(source)
    _shutdown(target)


def _shutdown(each: socket.socket) -> None:
    with contextlib.suppress(OSError):
        each.shutdown(socket.SHUT_RDWR)


class FileRecorder:
    """Context manager that copies files as they change."""

    def __init__(self, folders: Iterable[Path], store: Path) -> None:
        """`folders`: watched recursively; `store`: folder of the copies, outside of them."""
        self.copies: list[tuple[Path, Path]] = []
        """(original path, copy) by time."""
        self.touched: set[Path] = set()
        """Every created or changed file."""
        self.complete = True
        """False after lost events or with too many copies."""
        self.available = True
        """False without inotify: only files that remain at the end are recorded."""
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
        """Inode, size and modification time of every file and link below the folders."""
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
        """Watch a folder recursively; copy the files that a `new` one already has."""
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
        except OSError:  # disk full
            self.complete = False

    def _handle(self, timeout: int) -> None:
        changed: dict[Path, None] = {}  # ordered set
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
                data = file.read(_MAX_FILE)
        except OSError:
            return
        digest = hashlib.sha256(str(path).encode() + b"\0" + data).digest()
        if digest in self._seen or not data:
            return
        if self._copied + len(data) > _MAX_COPIES:
            self.complete = False
            return
        self._seen.add(digest)
        self._copied += len(data)
        copy = self._store / f"{len(self.copies):05d}-{path.name[:80]}"
        copy.write_bytes(data)
        self.copies.append((path, copy))


def expected(path: Path, run: Path, size: int) -> bool:
    """Whether the agent may write this file of `size` bytes in a run in the folder `run`."""
    if _UNNAMED.fullmatch(path.name) and not size:
        return True
    if not path.is_relative_to(run):
        return bool(_KERNEL.fullmatch(path.name))
    name = path.relative_to(run).as_posix()
    return bool(_OUTBOX.fullmatch(name)) or (bool(_WRITE_TEST.fullmatch(name)) and size <= 4)


def may_open(path: Path, run: Path, kernels: Iterable[Path], written: bool) -> bool:
    """Whether the agent may open this file for writing; `written`: bytes were written."""
    if path in (Path("/dev/null"), Path("/dev/tty")):
        return True
    if path.is_relative_to(run) or (_UNNAMED.fullmatch(path.name) and not written):
        return expected(path, run, 0)
    in_cache = any(path.is_relative_to(each) for each in kernels)
    return in_cache and bool(_KERNEL.fullmatch(path.name) or _UNNAMED.fullmatch(path.name))


def kind_of(path: Path) -> Kind:
    """Kind of artifact of a file, by its name."""
    if re.search(r"\.nb[ic]", path.name) or path.parent == KERNELS:
        return "kernel"
    kinds: dict[str, Kind] = {
        "outbox.db": "database", "outbox.db-wal": "journal", "outbox.db-journal": "journal",
        "outbox.db-shm": "index",
    }  # fmt: skip
    return kinds.get(path.name, "other")


def short_name(path: Path, run: Path) -> str:
    """Path relative to the folder of the run where possible."""
    return path.relative_to(run).as_posix() if path.is_relative_to(run) else str(path)
