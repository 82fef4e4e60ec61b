"""A PostgreSQL of Debian's on a free loopback port that can be stopped, started and killed."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from tools.common.errors import ToolError
from tools.common.mosquitto import die_with_parent, free_port, listens

_START = 60.0
"""Seconds that a server has to take connections."""
_END = 60.0
_SETTINGS = """
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
shared_buffers = 256MB
max_wal_size = 2GB
max_connections = 60
"""
"""The rest is as Debian's package has it: what was committed is on disk."""
Mode = Literal["fast", "immediate"]
"""As pg_ctl(1): connections are ended in order, or as in a crash."""
_SIGNALS: dict[str, signal.Signals] = {"fast": signal.SIGINT, "immediate": signal.SIGQUIT}


def programs() -> Path | None:
    """The folder of `initdb` and `postgres`; Debian keeps them off everybody's PATH."""
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=_version)
    found = shutil.which("initdb")
    return debian[-1].parent if debian else Path(found).resolve().parent if found else None


class Postgres:
    """One server; its data stay over restarts."""

    def __init__(self, folder: Path, settings: str = "") -> None:
        """Makes its data in `folder`, which another user must be able to reach where root asks:
        the server refuses to run as root. `settings`: further lines of postgresql.conf. Raises
        `ToolError`."""
        found = programs()
        if found is None:
            raise ToolError("PostgreSQL is not installed. Install it: apt install postgresql.")
        self._programs, self.port = found, free_port()
        self._data, self._log = folder / "data", folder / "postgresql.log"
        self._user = _user()
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)
        if self._user is not None:
            os.chown(folder, self._user.pw_uid, self._user.pw_gid)
            folder.chmod(0o711)
        done = subprocess.run(
            [str(found / "initdb"), "-D", str(self._data), "-U", "fleet", "-A", "trust",
             "-E", "UTF8", "--no-locale"],
            cwd="/", stdin=subprocess.DEVNULL, capture_output=True, check=False, **self._as_user(),
        )  # fmt: skip
        if done.returncode:
            words = done.stderr.decode(errors="replace").strip().splitlines()
            raise ToolError(f"initdb fails: {words[-1] if words else 'no reason given'}.")
        with (self._data / "postgresql.conf").open("a", encoding="utf-8") as file:
            file.write(f"{_SETTINGS}port = {self.port}\n{settings}\n")

    @property
    def pid(self) -> int | None:
        """Of the server that started the others; None: it does not run."""
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Start it and wait until it takes connections. Raises `ToolError`."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [str(self._programs / "postgres"), "-D", str(self._data)],
                cwd="/", stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                preexec_fn=die_with_parent, **self._as_user(),
            )  # fmt: skip
        deadline = time.monotonic() + _START
        while not (listens(self.port) and self._answers()):
            if self._process.poll() is not None or time.monotonic() > deadline:
                words = self._log.read_text(encoding="utf-8", errors="replace").splitlines()
                raise ToolError(f"PostgreSQL does not start: {' | '.join(words[-2:])}")
            time.sleep(0.1)

    def stop(self, mode: Mode = "fast") -> None:
        """End it; nothing happens where it does not run."""
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(_SIGNALS[mode])
        try:
            process.wait(_END)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def make_database(self, name: str) -> str:
        """A new, empty one; returns its URL. Raises `ToolError`."""
        import psycopg

        try:
            with psycopg.connect(self._url("postgres"), autocommit=True) as connection:
                connection.execute(f'CREATE DATABASE "{name}"')  # type: ignore[arg-type,unused-ignore]
        except psycopg.Error as error:
            raise ToolError(f"The database {name} cannot be made: {error}.") from None
        return self._url(name)

    def _answers(self) -> bool:
        import psycopg

        try:
            psycopg.connect(self._url("postgres"), connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    def _url(self, name: str) -> str:
        return f"postgresql://fleet@127.0.0.1:{self.port}/{name}"

    def _as_user(self) -> dict[str, Any]:
        if self._user is None:
            return {}
        return {"user": self._user.pw_uid, "group": self._user.pw_gid, "extra_groups": []}


def _user() -> pwd.struct_passwd | None:
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise ToolError("There is no user to run PostgreSQL as; it refuses to run as root.")


def _version(program: Path) -> int:
    digits = program.parents[1].name.partition(".")[0]
    return int(digits) if digits.isdigit() else 0


@contextlib.contextmanager
def scratch(kind: str) -> Iterator[str]:
    """A new database's URL, of `sqlite` or of a PostgreSQL of its own; gone afterwards. Raises
    `ToolError`."""
    with tempfile.TemporaryDirectory(prefix="fleeting-database-") as made:
        if kind == "sqlite":
            yield f"sqlite:///{made}/fleet.db"
            return
        Path(made).chmod(0o711)
        server = Postgres(Path(made) / "postgresql")
        try:
            server.start()
            yield server.make_database("fleet")
        finally:
            server.stop("immediate")
