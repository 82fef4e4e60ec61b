"""A PostgreSQL of the tests' own, and new databases of each kind."""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tools.common import postgresql

STORES = ("sqlite", "postgresql")
_SETTINGS = """
shared_buffers = 64MB
autovacuum = off
"""
"""Fast to start; `fsync` stays on, since these tests ask what a crash leaves."""


class Postgres(postgresql.Postgres):
    """One server that can be stopped, killed and started again; its data stay."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, _SETTINGS)
        self._numbers = itertools.count()

    def url(self) -> str:
        """Of a new, empty database."""
        return self.make_database(f"fleet_{os.getpid()}_{next(self._numbers)}")


@contextlib.contextmanager
def _server() -> Iterator[Postgres]:
    """Started on entry, gone with its folder afterwards."""
    if postgresql.programs() is None:
        pytest.skip("PostgreSQL is not installed (apt install postgresql)")
    # Not pytest's folder: the other user could not get there.
    folder = Path(tempfile.mkdtemp(prefix="fleet-postgres-"))
    server = Postgres(folder)
    try:
        server.start()
        yield server
    finally:
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


@pytest.fixture(params=STORES)
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A new database of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'fleet.db'}"
    server: Postgres = request.getfixturevalue("postgres")
    return server.url()
