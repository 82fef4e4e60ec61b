"""A PostgreSQL of the tests' own: Debian's programs, a folder of its own, a free loopback port."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tools.common.mosquitto import free_port

_SETTINGS = """
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
shared_buffers = 64MB
max_wal_size = 1GB
autovacuum = off
max_connections = 60
"""
"""Fast to start; `fsync` stays on, since these tests ask what a crash leaves."""


def programs() -> Path | None:
    """The folder of `initdb` and `pg_ctl`; Debian keeps them off everybody's PATH."""
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=_version, reverse=True)
    found = shutil.which("initdb")
    return debian[0].parent if debian else Path(found).resolve().parent if found else None


class Postgres:
    """One server that can be stopped, killed and started again; its data stay."""

    def __init__(self, folder: Path, port: int = 0) -> None:
        bin_ = programs()
        assert bin_ is not None
        self._bin, self.port = bin_, port or free_port()
        self._data = folder / "data"
        self._databases = 0
        self._user = _user()
        if self._user is not None:
            os.chown(folder, self._user.pw_uid, self._user.pw_gid)
        self._call("initdb", "-D", str(self._data), "-U", "test", "-A", "trust", "-N",
                   "-E", "UTF8", "--no-locale")  # fmt: skip
        with (self._data / "postgresql.conf").open("a") as file:
            file.write(f"{_SETTINGS}port = {self.port}\n")

    def start(self) -> None:
        self._call("pg_ctl", "-D", str(self._data), "-w", "-t", "60",
                   "-l", str(self._data / "log"), "start")  # fmt: skip

    def stop(self, mode: str = "fast") -> None:
        """`mode`: of pg_ctl(1); `immediate` is a crash."""
        self._call("pg_ctl", "-D", str(self._data), "-w", "-m", mode, "stop")

    def url(self) -> str:
        """Of a new, empty database."""
        import psycopg

        self._databases += 1
        name = f"fleet_{os.getpid()}_{self._databases}"
        with psycopg.connect(self._url("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return self._url(name)

    def _url(self, name: str) -> str:
        return f"postgresql://test@127.0.0.1:{self.port}/{name}"

    def _call(self, name: str, *words: str) -> None:
        """As another user: the server refuses to run as root."""
        options: dict[str, Any] = {}
        if self._user is not None:
            options = {"user": self._user.pw_uid, "group": self._user.pw_gid, "extra_groups": []}
        done = subprocess.run(
            [str(self._bin / name), *words], cwd="/", stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False, **options,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr.decode(errors="replace")


@contextlib.contextmanager
def _server() -> Iterator[Postgres]:
    """Started on entry, gone with its folder afterwards."""
    if programs() is None:
        pytest.skip("PostgreSQL is not installed (apt install postgresql)")
    # Not pytest's folder: the other user could not get there.
    folder = Path(tempfile.mkdtemp(prefix="fleet-postgres-"))
    server = Postgres(folder)
    try:
        server.start()
        yield server
    finally:
        with contextlib.suppress(AssertionError):  # a test may have stopped it
            server.stop("immediate")
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """One server for all tests of a process; ask it for a database of your own by `url()`, and
    leave it running."""
    with _server() as server:
        yield server


@pytest.fixture
def own_postgres() -> Iterator[Postgres]:
    """A server for one test that stops or kills it."""
    with _server() as server:
        yield server


STORES = ("sqlite", "postgresql")


@pytest.fixture(params=STORES)
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A new database of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'fleet.db'}"
    server: Postgres = request.getfixturevalue("postgres")
    return server.url()


def _user() -> pwd.struct_passwd | None:
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise AssertionError("no user to run PostgreSQL as")


def _version(program: Path) -> int:
    digits = program.parents[1].name.partition(".")[0]
    return int(digits) if digits.isdigit() else 0
