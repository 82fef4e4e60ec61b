"""Recorders of TCP connections and of files written below a folder.

Files are copied on each inotify(7) event; at the end the folder is compared with its initial state.
A short-lived file may be missed here, but not by strace.
"""

from __future__ import annotations

import contextlib
import os
import re
import socket
import socketserver
import stat
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from inotify_simple import INotify, flags

from agent.desk.audit._artifacts import Artifact, Finding
from agent.desk.audit._expected import may_appear
from agent.desk.audit._system_calls import short_name
from agent.desk.audit._written import PAGE, WrittenStore

_MAX_TRAFFIC = 64_000_000
"""Bytes recorded per connection and direction; a normal run has some thousands."""
_MAX_FILE = 64_000_000
"""Bytes read of one file."""
_MASK = (
    flags.CREATE | flags.MODIFY | flags.CLOSE_WRITE | flags.MOVED_TO | flags.MOVED_FROM
    | flags.DELETE | flags.ATTRIB
)  # fmt: skip
_FUTURE = 2.0
"""Seconds by which a file's time may lie outside the run: file systems round."""
_UNNAMED = re.compile(r"kernels/\w+/#\d+")
"""How inotify names an O_TMPFILE, which Numba opens to try a folder."""
_SIZES = {"outbox.db": PAGE, "outbox.db-shm": 32_768}
"""Whole multiples of which a file of the outbox is long."""


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
    """Context manager that copies files as they change, and compares what there is with what there
    was: names, kinds, modes, owners, times and attributes."""

    def __init__(self, folder: Path, store: WrittenStore) -> None:
        """`folder`: watched recursively; `store` takes the copies."""
        self.touched: set[str] = set()
        """Names of everything created or changed below the folder, of whatever kind."""
        self.findings: list[Finding] = []
        self.unseen: list[str] = []
        """What could not be looked at, and why."""
        self.copies = 0
        self._folder = folder
        self._store = store
        self._watched: dict[int, Path] = {}
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._loop, daemon=True)
        self._inotify: INotify | None = None

    def __enter__(self) -> FileRecorder:
        self._before = self._state()
        self._began = time.time()
        try:
            self._inotify = INotify()
            self._watch(self._folder)
        except OSError as error:
            self.unseen.append(
                f"files could not be watched ({error.strerror}): only what was left at the end was "
                "seen; raise the limits with `sudo sysctl fs.inotify.max_user_instances=512 "
                "fs.inotify.max_user_watches=65536`"
            )
            return self
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._thread.is_alive() or self._stopping.is_set():
            self._stopping.set()
            self._thread.join()
        if self._inotify is not None:
            self._inotify.close()
        after = self._state()
        for path, mark in after.items():
            if self._before.get(path) != mark:
                self._copy(path)
        self.findings += self._attributes(after)
        for name in sorted(self.touched):
            path = self._folder / name
            if _UNNAMED.fullmatch(name) and path not in after:
                continue
            if not may_appear(name) and path not in self._before:
                self.findings.append(Finding("file", name, None, "a name that nobody expects"))

    def look(self) -> None:
        """Copy what is written through memory, of which the kernel tells nobody. Call it often."""
        for path in self._folder.glob("*/*-shm"):
            self._copy(path)

    def _state(self) -> dict[Path, _Mark]:
        """Every file, folder, link, socket and so on below the folder."""
        found = {}
        for parent, folders, names in os.walk(self._folder):
            for path in (Path(parent) / name for name in (*folders, *names)):
                with contextlib.suppress(OSError):
                    found[path] = _marked(path)
        return found

    def _attributes(self, after: Mapping[Path, _Mark]) -> Iterator[Finding]:
        """Kind, mode, owner, times, size and attributes of what there is at the end."""
        ended = time.time()
        for path, found in after.items():
            name = short_name(path, self._folder)
            before = self._before.get(path)
            for what in _unusual(path, found, before, self._began, ended):
                yield Finding("file", name, None, what)
        for path in self._before.keys() - after.keys():
            name = short_name(path, self._folder)
            yield Finding("file", name, None, "it was removed, and nobody should")

    def _watch(self, folder: Path, new: bool = False) -> None:
        """Watch a folder recursively; copy the files that a `new` one already has. Raises
        `OSError` where there are too many."""
        assert self._inotify is not None
        try:
            self._watched[self._inotify.add_watch(folder, _MASK)] = folder
        except OSError:
            if folder.is_dir():
                raise
            return
        with contextlib.suppress(OSError):
            for each in folder.iterdir():
                if each.is_dir() and not each.is_symlink():
                    self._watch(each, new)
                if new:
                    self._copy(each)

    def _loop(self) -> None:
        try:
            while not self._stopping.is_set():
                self._handle(timeout=200)
            self._handle(timeout=0)
        except OSError as error:
            self.unseen.append(f"watching files ended early: {error.strerror}")

    def _handle(self, timeout: int) -> None:
        assert self._inotify is not None
        changed: dict[Path, None] = {}  # ordered set
        for event in self._inotify.read(timeout):
            if event.mask & flags.Q_OVERFLOW:
                self.unseen.append("files changed faster than they could be watched")
            folder = self._watched.get(event.wd)
            if folder is None or not event.name:
                continue
            path = folder / event.name
            if event.mask & flags.ISDIR:
                self.touched.add(short_name(path, self._folder))
                if event.mask & (flags.CREATE | flags.MOVED_TO):
                    self._watch(path, new=True)
            else:
                changed[path] = None
        for path in changed:
            self._copy(path)

    def _copy(self, path: Path) -> None:
        name = short_name(path, self._folder)
        self.touched.add(name)
        try:
            if not stat.S_ISREG(path.lstat().st_mode):
                return
            with path.open("rb") as file:
                data = file.read(_MAX_FILE + 1)
        except OSError:
            return  # gone; its writes are in the trace
        if len(data) > _MAX_FILE:
            self.unseen.append(f"{name} was too large to be copied whole")
        self.copies += 1
        self._store.copy(name, data[:_MAX_FILE])


@dataclass(frozen=True, slots=True)
class _Mark:
    """State of one entry of a folder, without what reading changes."""

    kind: int
    mode: int
    owner: tuple[int, int]
    links: int
    size: int
    modified: int
    """Nanoseconds."""
    inode: int
    attributes: tuple[str, ...]
    """Names of the extended ones."""


def _marked(path: Path) -> _Mark:
    info = path.lstat()
    extended: list[str] = []
    with contextlib.suppress(OSError):  # a file system without them
        extended = os.listxattr(path, follow_symlinks=False)
    return _Mark(
        stat.S_IFMT(info.st_mode), stat.S_IMODE(info.st_mode), (info.st_uid, info.st_gid),
        info.st_nlink, info.st_size, info.st_mtime_ns, info.st_ino, tuple(sorted(extended)),
    )  # fmt: skip


def _unusual(
    path: Path, now: _Mark, before: _Mark | None, began: float, ended: float
) -> Iterator[str]:
    """What an entry should not be."""
    folder = now.kind == stat.S_IFDIR
    if now.kind not in (stat.S_IFREG, stat.S_IFDIR):
        yield f"it is neither a file nor a folder (type {now.kind:o})"
    if before is not None and not folder and before != now:
        yield "it was changed, and nobody should"
    if before is not None and (before.mode, before.owner) != (now.mode, now.owner):
        yield f"its mode or owner was changed to {now.mode:o}, {now.owner[0]}:{now.owner[1]}"
    if now.attributes != (before.attributes if before else ()):
        # a security module labels every file
        rest = [each for each in now.attributes if not each.startswith("security.")]
        if rest:
            yield f"extended attributes {', '.join(rest)[:120]}"
    if now == before:
        return
    if not began - _FUTURE <= now.modified / 1e9 <= ended + _FUTURE:
        yield f"its time of modification, {now.modified} ns, is not within the run"
    if not folder and now.links != 1:
        yield f"it has {now.links} names"
    if before is None and not folder and now.mode & ~0o666:
        yield f"its mode is {now.mode:o}"
    if before is None and not folder and now.size % _SIZES.get(path.name, 1):
        yield f"it is {now.size} bytes long, which no such file is"
