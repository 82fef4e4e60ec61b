"""Where the update repository's files come from: an HTTPS server, or a folder on a stick.

Both distrust their source: no file is longer than the caller allows, no transfer lasts longer than
its time, no redirect, link or path leads anywhere else.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import threading
from abc import abstractmethod
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any
from urllib.parse import unquote, urlsplit

import urllib3
from tuf.api.exceptions import DownloadHTTPError
from tuf.ngclient import FetcherInterface
from urllib3.connectionpool import HTTPConnectionPool

import agent
from agent.base.addresses import LOCAL_DOMAINS, is_private
from agent.base.errors import reason
from agent.update.errors import UpdateError

METADATA_BYTES = 512_000
"""Of one metadata file, whatever length others give for it: a stolen online key may sign any."""
METADATA_SECONDS = 60.0
"""For one metadata file, from name resolution to its last byte."""
SLOWEST = 8_000
"""Bytes per second below which a target's download is given up, after `METADATA_SECONDS`."""
SILENCE = 20.0
"""Seconds without a byte, or for a connection."""
_CHUNK = 65_536


class Fetcher(FetcherInterface):
    """A source of bounded files; addresses begin with `base`, which ends in "/"."""

    base: str

    @abstractmethod
    def chunks(self, url: str, seconds: float) -> Iterator[bytes]:
        """The file's content within `seconds`. Raises `UpdateError`, and `DownloadHTTPError` with
        status 404 where there is none."""

    def _fetch(self, url: str) -> Iterator[bytes]:
        return self.chunks(url, METADATA_SECONDS)

    def download_bytes(self, url: str, max_length: int) -> bytes:
        """A metadata file, in memory: `tuf` would put it into a temporary file. Raises as
        `chunks`."""
        return b"".join(_bounded(self._fetch(url), min(max_length, METADATA_BYTES), url))

    def save(
        self, url: str, length: int, file: IO[bytes], progress: Callable[[int, int], None]
    ) -> None:
        """Write a target of at most `length` bytes to `file`. Raises as `chunks`, and `OSError`
        where the file cannot be written."""
        done = 0
        for chunk in _bounded(self.chunks(url, METADATA_SECONDS + length / SLOWEST), length, url):
            file.write(chunk)
            done += len(chunk)
            progress(done, length)


def _bounded(chunks: Iterator[bytes], most: int, url: str) -> Iterator[bytes]:
    done = 0
    with contextlib.closing(chunks):  # type: ignore[type-var]
        for chunk in chunks:
            done += len(chunk)
            if done > most:
                raise UpdateError(
                    "too_large",
                    f"{_name(url)} is longer than {most} bytes, which is all it may have. The "
                    "update host is not to be trusted, or the repository was made by another tool.",
                )
            yield chunk


class WebFetcher(Fetcher):
    """From one web server. Raises `UpdateError` for an address that it would not use."""

    def __init__(self, url: str) -> None:
        self.base = url.rstrip("/") + "/"
        self._watch = _Watch()
        self._pool = _pool(url, self._watch)

    def chunks(self, url: str, seconds: float) -> Iterator[bytes]:
        with self._watch(seconds), _named(self._watch, url):
            response = self._pool.urlopen(
                "GET",
                url.removeprefix(_origin(self.base)),
                headers={
                    "User-Agent": f"fleeting/{agent.__version__}",
                    "Accept-Encoding": "identity",
                },
                redirect=False,
                retries=False,
                preload_content=False,
                decode_content=False,
            )
            try:
                _check_status(response.status, url)
                yield from response.stream(_CHUNK, decode_content=False)
                self._watch.check()
            except BaseException:
                response.close()  # else the rest of it would be read on the same connection
                raise
            finally:
                response.release_conn()


def _pool(url: str, watch: _Watch) -> HTTPConnectionPool:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        parts, host, port = urlsplit(""), "", None
    if (
        not (host and port != 0 and parts.scheme in ("http", "https"))
        or parts.username is not None
        or parts.query
        or parts.fragment
    ):
        raise UpdateError(
            "off", "update.url is no address of an update repository: https://HOST/PATH is one."
        )
    if parts.scheme == "http" and not is_private(host):
        raise UpdateError(
            "off",
            "update.url begins with http and is neither an address of a private network nor a "
            f"name that ends in .{', .'.join(LOCAL_DOMAINS)}. Use https.",
        )
    timeout = urllib3.Timeout(connect=SILENCE, read=SILENCE)
    pool = urllib3.connection_from_url(
        _origin(url),
        timeout=timeout,
        maxsize=1,
        **({"cert_reqs": "CERT_REQUIRED"} if parts.scheme == "https" else {}),
    )
    made: Any = pool.ConnectionCls

    class Watched(made):  # type: ignore[misc]
        """Lets the watch end it."""

        def connect(self) -> None:
            super().connect()
            watch.socket = self.sock
            watch.check()

    pool.ConnectionCls = Watched
    return pool


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def _check_status(status: int, url: str) -> None:
    if status in (403, 404):
        raise DownloadHTTPError(f"{_name(url)} is not there", 404)
    if 300 <= status < 400:
        raise UpdateError(
            "download",
            f"The update host sends {_name(url)} from another address (status {status}), which is "
            "not followed. Set update.url to the final one.",
        )
    if status != 200:
        raise UpdateError(
            "download", f"The update host answers status {status} for {_name(url)}. Try later."
        )


class _Watch:
    """Ends a transfer when its time is over, wherever it hangs: a server that sends a byte every
    some seconds never runs into a socket's own time-out."""

    socket: Any = None

    def __init__(self) -> None:
        self.over = False

    @contextlib.contextmanager
    def __call__(self, seconds: float) -> Iterator[None]:
        self.over = False
        timer = threading.Timer(seconds, self._end)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            timer.join()

    def check(self) -> None:
        """Raises `TimeoutError`: a body without a length merely ends."""
        if self.over:
            raise TimeoutError

    def _end(self) -> None:
        self.over = True
        if self.socket is not None:
            with contextlib.suppress(OSError, ValueError):
                self.socket.shutdown(2)


@contextlib.contextmanager
def _named(watch: _Watch, url: str) -> Iterator[None]:
    """Every failure of the network as an `UpdateError`."""
    try:
        yield
    except (UpdateError, DownloadHTTPError):
        raise
    except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
        if watch.over or isinstance(error, urllib3.exceptions.ReadTimeoutError):
            raise UpdateError(
                "download", f"The update host is too slow with {_name(url)}. Try later."
            ) from None
        if isinstance(error, _UNREACHABLE):
            causes = (error.__cause__, *error.args, error)
            why = reason(next(each for each in causes if isinstance(each, BaseException)))
            raise UpdateError(
                "no_host",
                f"The update host cannot be reached: {why}. Check update.url, the network, and "
                "the host's certificate.",
            ) from None
        raise UpdateError(
            "download", f"The transfer of {_name(url)} broke off: {reason(error)}. Try later."
        ) from None


_UNREACHABLE = (
    urllib3.exceptions.NewConnectionError,
    urllib3.exceptions.ConnectTimeoutError,
    urllib3.exceptions.SSLError,
    urllib3.exceptions.LocationParseError,
)


class FolderFetcher(Fetcher):
    """From a folder, such as a stick's. Raises `UpdateError` where no repository is there.

    `folder` holds `metadata/` and `targets/`, or a folder `repository` with them.
    """

    def __init__(self, folder: Path) -> None:
        inner = folder / "repository"
        self._folder = inner if not (folder / "metadata").is_dir() and inner.is_dir() else folder
        if not (self._folder / "metadata").is_dir():
            raise UpdateError(
                "no_host",
                f"{folder} holds no update repository: there is no folder metadata in it. Copy "
                "the fleet's folder repository there.",
            )
        self.base = "folder:/"

    def chunks(self, url: str, seconds: float) -> Iterator[bytes]:
        del seconds  # a read from a stick cannot be ended from outside
        parts = unquote(url.removeprefix(self.base)).split("/")
        if any(part in ("", ".", "..") or "\0" in part for part in parts):
            raise UpdateError("untrusted", f"{_name(url)} would lie outside the repository.")
        try:
            with open(_open(self._folder, parts), "rb") as file:
                while chunk := file.read(_CHUNK):
                    yield chunk
        except (FileNotFoundError, NotADirectoryError):
            raise DownloadHTTPError(f"{_name(url)} is not there", 404) from None
        except OSError as error:
            raise UpdateError(
                "untrusted" if error.errno in (errno.ELOOP, errno.EINVAL) else "download",
                f"{_name(url)} cannot be read from {self._folder}: {reason(error)}. Copy the "
                "repository there anew, as ordinary files and folders.",
            ) from None


def _open(folder: Path, parts: list[str]) -> int:
    """A descriptor of a regular file below `folder`; no link is followed on the way to it."""
    at = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for part in parts[:-1]:
            deeper = os.open(
                part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=at
            )
            os.close(at)
            at = deeper
        flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
        number = os.open(parts[-1], flags, dir_fd=at)
    finally:
        os.close(at)
    if not stat.S_ISREG(os.fstat(number).st_mode):
        os.close(number)
        raise OSError(errno.EINVAL, "it is no ordinary file", parts[-1])
    return number


def _name(url: str) -> str:
    """A file's name for a message; what a repository calls its roles is not repeated."""
    name = url.rpartition("/")[2]
    return name if len(name) < 120 and name.isascii() and name.isprintable() else "a file"
