"""Unpacking an update's archive into a new folder. What it holds is signed by then; that whoever
signed it made no mistake is not taken for granted.

Regular files and folders with plain relative names; a bounded number, size, depth and, while
reading, amount of data in all, also in the archive's own headers. Nothing of an archive's owners,
modes, times, links or devices is taken over. Source: tarfile's extraction filters (PEP 706); this
is stricter.
"""

from __future__ import annotations

import gzip
import os
import re
import tarfile
import zlib
from pathlib import Path
from typing import IO

from agent.base.report.job import JobKind
from agent.update.errors import UpdateError

MAX_ENTRIES = 4_000
MAX_FILE = 64 * 2**20
"""Bytes."""
MAX_BYTES = 192 * 2**20
"""Bytes of all files."""
_MAX_DEPTH = 12
_NAME = re.compile(r"[A-Za-z0-9_+][A-Za-z0-9._+-]{0,99}")
_HEADERS = 128 * 1024
"""Bytes that may lie between the contents of two files: tarfile holds a long name in memory."""
_CHUNK = 256 * 1024
_EPOCH = 1_500_000_000
"""UTC seconds. A file's time is this and its checksum: compiled code is kept for a file of a
certain path, size and time, so other contents must have another time."""


class _Bounded:
    """A stream that is read no further than it was allowed to."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._left = _HEADERS

    def allow(self, size: int) -> None:
        self._left = size + _HEADERS

    def read(self, size: int = -1) -> bytes:
        found = self._stream.read(_CHUNK if size < 0 else min(size, _CHUNK))
        self._left -= len(found)
        if self._left < 0:
            raise _refused("it holds more data than its entries say")
        return found


def unpack(archive: Path, into: Path, kind: JobKind) -> None:
    """Unpack into `into`, which must not exist. Raises `UpdateError` where the archive is not as it
    has to be, `OSError` where it cannot be written; what was written is left for the caller."""
    os.mkdir(into, 0o755)
    try:
        with gzip.open(archive, "rb") as stream:
            bounded = _Bounded(stream)  # type: ignore[arg-type]
            with tarfile.open(fileobj=bounded, mode="r|", tarinfo=tarfile.TarInfo) as tar:  # type: ignore[call-overload]
                _unpack(tar, bounded, into, kind)
            bounded.allow(0)
            while bounded.read():  # to the end, where the checksum is
                pass
    except (tarfile.TarError, zlib.error, EOFError, gzip.BadGzipFile) as error:
        raise _refused(f"it is cut off or damaged ({type(error).__name__})") from None
    except (ValueError, OverflowError, RecursionError) as error:
        raise _refused(f"it cannot be read ({type(error).__name__})") from None
    needed = ["models/VERSION"] if kind == "models" else ["agent/__init__.py", "requirements.txt"]
    for name in (*needed, "models/manifest.toml"):
        if not (into / name).is_file():
            raise _refused(f"it lacks {name}")


def _unpack(tar: tarfile.TarFile, bounded: _Bounded, into: Path, kind: JobKind) -> None:
    seen: set[str] = set()
    total = 0
    while (member := tar.next()) is not None:
        # A stream keeps what it has read of.
        tar.members = []  # type: ignore[attr-defined]
        name = _checked(member, kind)
        if not (member.isreg() or member.isdir()) or member.issparse():
            raise _refused("it holds something that is neither a file nor a folder")
        if member.isdir():
            bounded.allow(0)
            (into / name).mkdir(mode=0o755, parents=True, exist_ok=True)
            continue
        if name.casefold() in seen or len(seen) >= MAX_ENTRIES:
            raise _refused("it holds a name twice, or too many")
        seen.add(name.casefold())
        total += member.size
        if not 0 <= member.size <= MAX_FILE or total > MAX_BYTES:
            raise _refused("it holds more than an update may")
        bounded.allow(member.size)
        _write(tar, member, into / name)
        bounded.allow(0)
    if not seen:
        raise _refused("it is empty")


def _checked(member: tarfile.TarInfo, kind: JobKind) -> str:
    """The entry's name. Raises `UpdateError`."""
    name = member.name.rstrip("/") if member.isdir() else member.name
    parts = name.split("/")
    if len(parts) > _MAX_DEPTH or not all(_NAME.fullmatch(each) for each in parts):
        raise _refused("it holds a name that leads elsewhere or is not plain")
    tops = {"models"} if kind == "models" else {"agent", "models"}
    if parts[0] not in tops and not (kind == "app" and name == "requirements.txt"):
        raise _refused(f"it holds {parts[0][:40]!r}, which belongs to no update of {kind}")
    return name


def _write(tar: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> None:
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    source = tar.extractfile(member)
    assert source is not None
    with open(os.open(path, flags, 0o644), "wb") as target:
        left, checksum = member.size, 0
        while left:
            data = source.read(min(left, _CHUNK))
            if not data:
                raise _refused("it is cut off")
            target.write(data)
            checksum = zlib.crc32(data, checksum)
            left -= len(data)
    os.utime(path, (_EPOCH + checksum // 32, _EPOCH + checksum // 32))


def _refused(why: str) -> UpdateError:
    return UpdateError("unpack", f"The archive is not used: {why}.")
