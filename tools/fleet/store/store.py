"""One way to speak to SQLite and PostgreSQL: `?`-style parameters, transactions, one error."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from types import TracebackType
from typing import Any, Literal

from tools.common.errors import ToolError
from tools.fleet.store import _connections
from tools.fleet.store.errors import StoreUnavailable

Dialect = Literal["sqlite", "postgresql"]
Row = dict[str, Any]
"""A row by name of column."""


class Store:
    """A connection, opened on demand and again after it was lost. Not thread-safe: each thread
    opens its own.

    Every method raises `StoreUnavailable` when the database is away; within a transaction nothing
    of it is stored then.
    """

    def __init__(self, url: str) -> None:
        """`url`: `sqlite:///PATH` or `postgresql://...` (libpq). Raises `ToolError`."""
        self.dialect: Dialect
        if url.startswith("sqlite:///") and len(url) > len("sqlite:///"):
            self.dialect = "sqlite"
        elif url.startswith(("postgresql://", "postgres://")):
            self.dialect = "postgresql"
        else:
            raise ToolError(
                f"{url!r} names no database: sqlite:///PATH or postgresql://USER@HOST/NAME."
            )
        self._url = url
        self.name = url.removeprefix("sqlite:///") if self.dialect == "sqlite" else _harmless(url)
        """For messages: a path, or an address without a password."""
        self._connection: Any = None
        self._depth = 0

    def execute(self, sql: str, params: Sequence[Any] = ()) -> list[Row]:
        """Run one statement; its rows, none where it returns none. Outside of a transaction it is
        committed at once. `sql`: `?` stands for a parameter and for nothing else."""
        with self._errors():
            cursor = self._run(sql, params)
            if cursor.description is None:
                return []
            names = [column[0] for column in cursor.description]
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    def tuples(self, sql: str, params: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """As `execute`, rows as tuples."""
        with self._errors():
            cursor = self._run(sql, params)
            return [] if cursor.description is None else cursor.fetchall()

    def stream(
        self, sql: str, params: Sequence[Any] = (), batch: int = 2000
    ) -> Iterator[list[tuple[Any, ...]]]:
        """The rows of one query as of one instant, at most `batch` at a time, over a connection of
        its own: memory stays the same for any number, and writers are not held up."""
        connection = None
        try:
            with self._errors():
                connection = _connections.connect(self.dialect, self._url, self.name)
                if self.dialect == "sqlite":
                    cursor = connection.execute(sql, params)
                else:
                    connection.execute(
                        "BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY"
                    )
                    cursor = connection.cursor("stream")  # held by the server
                    cursor.execute(self._words(sql) if params else sql, params or None)
            while True:
                with self._errors():
                    rows = cursor.fetchmany(batch)
                if not rows:
                    return
                yield rows
        finally:
            if connection is not None:
                connection.close()

    def executemany(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        """Run one statement for each of `rows`; all of them or none are stored."""
        with self.transaction(), self._errors():
            self._connection.cursor().executemany(self._words(sql), rows)

    @contextlib.contextmanager
    def transaction(self) -> Iterator[Store]:
        """Commit at the end, or roll back; within another one it is part of that. SQLite's begins
        by locking out other writers."""
        if self._depth:
            yield self
            return
        with self._errors():
            self._run("BEGIN IMMEDIATE" if self.dialect == "sqlite" else "BEGIN", ())
        self._depth = 1
        try:
            yield self
        except BaseException:
            self._roll_back()
            raise
        else:
            try:
                with self._errors():
                    self._connection.execute("COMMIT")
            except BaseException:
                self._roll_back()
                raise
        finally:
            self._depth = 0

    def among(self, column: str, values: Sequence[str]) -> tuple[str, str]:
        """SQL's condition that a column is one of any number of values, and its one parameter."""
        each = (
            "value FROM json_each(?)"
            if self.dialect == "sqlite"
            else "json_array_elements_text(CAST(? AS json))"
        )
        return f"{column} IN (SELECT {each})", json.dumps(list(values))

    def has_table(self, name: str) -> bool:
        """Whether there is a table (or view) of this name."""
        if self.dialect == "sqlite":
            return bool(self.tuples("SELECT 1 FROM sqlite_master WHERE name = ?", (name,)))
        # Not to_regclass(): it may answer from a cache older than another's commit.
        sql = "SELECT 1 FROM pg_class WHERE relname = ? AND pg_table_is_visible(oid)"
        return bool(self.tuples(sql, (name,)))

    def close(self) -> None:
        """The next call opens it again."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(Exception):
                connection.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None,
    ) -> None:  # fmt: skip
        self.close()

    def _run(self, sql: str, params: Sequence[Any]) -> Any:
        if self._connection is None:
            self._connection = _connections.connect(self.dialect, self._url, self.name)
        # psycopg parses `%` only where there are parameters.
        if params or self.dialect == "sqlite":
            return self._connection.execute(self._words(sql), params)
        return self._connection.execute(sql)

    def _words(self, sql: str) -> str:
        return sql if self.dialect == "sqlite" else sql.replace("%", "%%").replace("?", "%s")

    def _roll_back(self) -> None:
        """A connection that cannot even do that is given up."""
        if self._connection is None:
            return
        try:
            if self.dialect == "postgresql" or self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
        except Exception:
            self.close()

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        """A database that is away, told from a mistake in a statement, which is left as it is."""
        try:
            yield
        except Exception as error:
            if self.dialect == "postgresql" and getattr(self._connection, "closed", False):
                self.close()
            said = _connections.unavailable(error)
            if said is None:
                if isinstance(error, sqlite3.DatabaseError) and _connections.damaged(error):
                    self.close()
                    raise ToolError(
                        f"The database {self.name} is damaged: {error}. Restore it from a backup."
                    ) from None
                raise
            raise StoreUnavailable(
                f"The database {self.name} cannot be used: {said}. Nothing was lost: what was not "
                "stored is tried again."
            ) from None


def _harmless(url: str) -> str:
    """Without a password."""
    scheme, _, rest = url.partition("://")
    login, at, place = rest.rpartition("@")
    return f"{scheme}://{login.partition(':')[0]}{at}{place.partition('?')[0]}"
