"""Files of compiled kernels that a power cut may have damaged: read whole, or not at all.

Numba writes its cache without fsync, the index before what it refers to, and without checksums:
after a power cut (or kill -9) a file may be empty, hold zeros, or be one of another version, and
each start would then end in a traceback, or run wrong machine code. Here the machine code is
written first, the index carries its SHA-256 and its own, and whatever does not fit is compiled
again.

Replaces `numba.core.caching.IndexDataCacheFile`, whose names of files it keeps.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import logging
import os
import pickle
import shutil
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
from numba import njit
from numba.core.runtime import rtsys
from numba.core.serialize import dumps

log = logging.getLogger(__name__)

_MARK = b"fleeting-kernels 1\n"
_SUM = 32
"""Bytes of a SHA-256."""
_PICKLE = b"\x80"
"""First byte of Numba's own index: of an earlier version of this package, and no damage."""

_Entries = dict[Any, tuple[str, bytes]]
"""File and SHA-256 of the machine code, by signature and processor."""


class Once:
    """Whether something is to be said: once in a process, since forty kernels would say it."""

    def __init__(self) -> None:
        self._said: set[str] = set()

    def __call__(self, what: str) -> bool:
        news = what not in self._said
        self._said.add(what)
        return news


first = Once()


class KernelFile:
    """The machine code of one kernel: an index and a file for each signature. Nothing raises."""

    def __init__(self, folder: str, name: str, stamp: object) -> None:
        """`name`: of the files, without ending; `stamp`: of the kernel's source."""
        self._folder = Path(folder)
        self._name = name
        self._stamp = stamp
        self._index = self._folder / f"{name}.nbi"

    def load(self, key: object) -> Any:
        """What `save` was given for a key; None where there is no such thing, or a damaged one."""
        entry = self._entries().get(key)
        if entry is None:
            return None
        name, digest = entry
        data = _read(self._folder / name)
        if data is None or hashlib.sha256(data).digest() != digest:
            return self._damaged()
        try:
            return pickle.loads(data)
        except Exception:  # the bytes are those that were written: by other libraries
            return self._damaged()

    def save(self, key: object, data: object) -> None:
        """Keep what was compiled for a key; the machine code is in place before the index names
        it."""
        body = dumps(data)
        entries = self._entries()
        taken = {name for name, _ in entries.values()}
        free = (f"{self._name}.{number}.nbc" for number in range(1, len(taken) + 2))
        name = (
            entries[key][0] if key in entries else next(each for each in free if each not in taken)
        )
        entries[key] = name, hashlib.sha256(body).digest()
        index = dumps((self._stamp, entries))
        head = _MARK + numba.__version__.encode() + b"\n"
        try:
            _replace(self._folder / name, body)
            _replace(self._index, head + hashlib.sha256(index).digest() + index)
        except OSError as error:
            if first("unwritable"):
                log.warning(
                    "Compiled kernels cannot be kept in %s: %s. Each start compiles them again, "
                    "until this user may write there and the disk has room.",
                    self._folder, os.strerror(error.errno or 0),
                )  # fmt: skip

    def flush(self) -> None:
        """Forget what is kept."""
        with contextlib.suppress(OSError):
            self._index.unlink()

    def _entries(self) -> _Entries:
        data = _read(self._index)
        if data is None:
            if os.path.lexists(self._index):
                self._damaged()
            return {}
        if data.startswith(_PICKLE):
            return {}
        version = numba.__version__.encode() + b"\n"
        if not data.startswith(_MARK):
            self._damaged()
            return {}
        if not data.startswith(version, len(_MARK)):
            # another Numba's, or cut off within the line
            if b"\n" not in data[len(_MARK) :]:
                self._damaged()
            return {}
        body = data[len(_MARK) + len(version) :]
        if hashlib.sha256(body[_SUM:]).digest() != body[:_SUM]:
            self._damaged()
            return {}
        try:
            stamp, entries = pickle.loads(body[_SUM:])
        except Exception:
            self._damaged()
            return {}
        return entries if stamp == self._stamp else {}

    def _damaged(self) -> None:
        if first("damaged"):
            log.warning(
                "Compiled kernels in %s are damaged or unreadable, as after a power cut: they are "
                "compiled again.",
                self._folder,
            )


def kernel(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    """As `numba.njit(nogil=True, cache=True, **options)`, kept in these files. Where no folder can
    be written each start compiles."""

    def compiled(function: Callable[..., Any]) -> Any:
        dispatcher = njit(nogil=True, **options)(function)
        if hasattr(dispatcher, "enable_caching"):  # not with NUMBA_DISABLE_JIT
            _keep(dispatcher)
        return dispatcher

    return compiled


def _keep(dispatcher: Any) -> None:
    try:
        dispatcher.enable_caching()
    except (RuntimeError, OSError):
        if first("nowhere"):
            log.warning(
                "No folder for compiled kernels can be written: each start compiles them again. "
                "Set NUMBA_CACHE_DIR to one that this user may write."
            )
        return
    cache = dispatcher._cache
    locator = cache._impl.locator
    cache._cache_file = KernelFile(
        locator.get_cache_path(), cache._impl.filename_base, locator.get_source_stamp()
    )
    cache.load_overload = functools.partial(_load, cache)
    # Where the folder is gone or full, `KernelFile.save` says so.
    made = locator.ensure_cache_path
    locator.ensure_cache_path = lambda: _attempt(made)


def _load(cache: Any, signature: object, context: Any) -> Any:
    """As `numba.core.caching._Cache.load_overload`, which also fills all tables that compiling
    needs, 10 MB; the compiler does so itself where it has to run. Machine code needs Numba's run
    time alone."""
    rtsys.initialize(context)
    return cache._load_overload(signature, context)


def _attempt(work: Callable[[], object]) -> None:
    with contextlib.suppress(OSError):
        work()


def _read(path: Path) -> bytes | None:
    """A file's bytes; None where it cannot be read, or is none."""
    try:
        return path.read_bytes() if path.is_file() else None  # a pipe would be waited for
    except OSError:
        return None


def _replace(path: Path, data: bytes) -> None:
    """Put the file in place of whatever is there. Raises `OSError`."""
    beside = path.with_name(f"{path.name}.tmp.{uuid.uuid4().hex[:16]}")
    try:
        beside.write_bytes(data)
        try:
            os.replace(beside, path)
        except IsADirectoryError:
            shutil.rmtree(path)
            os.replace(beside, path)
    except BaseException:
        with contextlib.suppress(OSError):
            beside.unlink()
        raise
