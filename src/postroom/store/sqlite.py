"""SQLite, executed inside the event loop: a write is a few microseconds, a hop to a thread is more.

A transaction's body awaits only the methods below, and none of them suspends; so a transaction runs from
BEGIN to COMMIT without anything else of this process in between.
"""

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any, cast

import apsw

from postroom.domain.clock import system_clock
from postroom.domain.errors import StoreError, Unavailable
from postroom.store import queries
from postroom.store.batches import plain_insert, repeated, table_of_insert
from postroom.store.checkpoints import Checkpoints
from postroom.store.database import NotMet, Reader, Row, T, Transaction, Value

BUSY_WAIT = 2.0
_BUSY_PAUSE = 0.005
TOGETHER = 100
"""Rows in one INSERT; apsw keeps no statement for later whose text is longer than 16 KiB."""
_SETTINGS = (
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
    "PRAGMA cache_size = -32768",
    "PRAGMA wal_autocheckpoint = 0",  # see checkpoints.py
    "PRAGMA journal_size_limit = 67108864",
)


def connect(path: Path, *, read_only: bool = False) -> apsw.Connection:
    """A connection to the file `path` as Postroom uses it.

    Raises:
        StoreError: the file cannot be opened or is no SQLite database.
        Unavailable: it is locked, or the disk is full.
    """
    flags = apsw.SQLITE_OPEN_READONLY if read_only else apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE
    with translated():
        connection = apsw.Connection(str(path), flags=flags, statementcachesize=500)
        connection.set_busy_timeout(int(BUSY_WAIT * 1000))
        if not read_only:
            _log_ahead(connection)
        for setting in _SETTINGS:
            connection.execute(setting)
        return connection


def _log_ahead(connection: apsw.Connection) -> None:
    """Choose the write-ahead log; SQLite does not wait where another connection is choosing it."""
    deadline = time.monotonic() + BUSY_WAIT
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except apsw.BusyError:
            if time.monotonic() > deadline:
                raise
            time.sleep(_BUSY_PAUSE)


@contextmanager
def translated() -> Generator[None]:
    """Turns SQLite's errors into Postroom's, in this one place."""
    try:
        yield
    except (apsw.BusyError, apsw.LockedError) as error:
        raise Unavailable("the database is busy; try again") from error
    except (apsw.FullError, apsw.IOError) as error:
        raise Unavailable(
            "the database cannot be written, its disk may be full; try again later", 5
        ) from error
    except (apsw.CantOpenError, apsw.NotADBError, apsw.CorruptError, apsw.ReadOnlyError) as error:
        raise StoreError(f"the database cannot be used: {error}") from error


def _numbered(sql: str) -> str:
    return re.sub(r"\$(\d+)", r"?\1", sql)


class SqliteTransaction:
    """The methods of a transaction on one connection; none of them suspends."""

    def __init__(self, connection: apsw.Connection, sql: dict[str, str]) -> None:
        self._connection = connection
        self._sql = sql
        self._inserts = {query for query, text in sql.items() if table_of_insert(text)}
        self._plain = {query: plain for query, text in sql.items() if (plain := plain_insert(text))}

    async def fetch(self, query: str, *params: Value) -> list[Row]:
        """All rows of the query."""
        return cast(list[Row], list(self._connection.execute(self._sql[query], params)))

    async def fetch_many(self, query: str, rows: Iterable[tuple[Value, ...]]) -> list[Row]:
        """The rows of the query for each row of parameters."""
        if query in self._plain:
            return self._added(query, list(rows))
        return cast(list[Row], list(self._connection.executemany(self._sql[query], rows)))

    async def require(self, query: str, rows: Iterable[tuple[Value, ...]]) -> None:
        """Run it at once."""
        given = list(rows)
        if len(await self.fetch_many(query, given)) < len(given):
            raise NotMet(query)

    async def execute(self, query: str, *params: Value) -> None:
        """Run the query once."""
        self._connection.execute(self._sql[query], params)

    async def execute_many(self, query: str, rows: Iterable[tuple[Value, ...]]) -> None:
        """Run the query for each row of parameters."""
        rest = list(rows)
        if len(rest) >= TOGETHER and query in self._inserts:
            sql = repeated(self._sql[query], TOGETHER)
            for start in range(0, len(rest) - TOGETHER + 1, TOGETHER):
                self._connection.execute(sql, tuple(chain.from_iterable(rest[start : start + TOGETHER])))
            rest = rest[len(rest) // TOGETHER * TOGETHER :]
        for _ in self._connection.executemany(self._sql[query], rest):
            pass  # where a query answers rows, the next one runs when they are read

    def _added(self, query: str, rows: list[Row]) -> list[Row]:
        """What an INSERT answers. To answer it takes SQLite as long again, and often all rows are new."""
        plain, answered = self._plain[query]
        found: list[Row] = []
        for start in range(0, len(rows), TOGETHER):
            some = rows[start : start + TOGETHER]
            new = self._new(plain, some) if len(some) == TOGETHER else 0
            found += zip(*[[row[place] for row in some[:new]] for place in answered], strict=True)
            if new < len(some):
                found += cast(list[Row], list(self._connection.executemany(self._sql[query], some[new:])))
        return found

    def _new(self, plain: str, rows: list[Row]) -> int:
        """Insert TOGETHER rows up to the first one in conflict; answers how many."""
        try:
            self._connection.execute(repeated(plain, TOGETHER), tuple(chain.from_iterable(rows)))
        except apsw.ConstraintError:
            return self._connection.changes()
        return len(rows)


class SqliteDatabase:
    """One SQLite file, already migrated: a connection that reads and writes, and some for long reads."""

    channel = None

    def __init__(self, path: Path) -> None:
        self._connection = connect(path)
        self._connection.set_busy_timeout(0)  # waiting happens in the loop, not in SQLite
        self._sql = {name: _numbered(text) for name, text in queries.load("sqlite").items()}
        self._inside = SqliteTransaction(self._connection, self._sql)
        self.apart = _Reading(path, self._sql)
        self._at_length = _Reading(path, self._sql)
        self._version, self._asked_at = 0, -1.0
        self._checkpoints = Checkpoints(connect(path), self._connection)

    async def fetch(self, query: str, *params: Value) -> list[Row]:
        """All rows of the query, between transactions."""
        with translated():
            return await self._inside.fetch(query, *params)

    async def transaction(self, body: Callable[[Transaction], Awaitable[T]], *, at_once: bool = False) -> T:
        """Run `body` between BEGIN and COMMIT."""
        with translated():
            await self._checkpoints.catch_up()
            await self._begin()
            try:
                result = _completed(body(self._inside))
                self._connection.execute("COMMIT")
            except BaseException:
                self._roll_back()
                raise
        return result

    async def snapshot(self, body: Callable[[Reader], Awaitable[T]]) -> T:
        """Run `body` between BEGIN and ROLLBACK, one at a time, in a thread that nobody else waits for."""
        return await self._at_length.snapshot(body)

    async def version(self) -> int:
        """SQLite's data version, which own commits leave alone; asked for once a millisecond."""
        now = asyncio.get_running_loop().time()  # uvloop's, in whole milliseconds
        if now != self._asked_at:
            with translated():
                self._version = cast(int, self._connection.execute("PRAGMA data_version").get)
            self._asked_at = now
        return self._version

    async def settled(self) -> None:
        """Transactions come one after another."""

    async def now(self) -> int:
        """The time of the machine, which all processes on a file share."""
        return system_clock()

    async def close(self) -> None:
        """Close all connections; the last one to close folds the log into the file."""
        self._checkpoints.close()
        self.apart.close()
        self._at_length.close()
        self._connection.close()

    async def _begin(self) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + BUSY_WAIT
        while True:
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                return
            except apsw.BusyError:
                if loop.time() > deadline:
                    raise
                await asyncio.sleep(_BUSY_PAUSE)

    def _roll_back(self) -> None:
        # After some errors, a full disk among them, SQLite has rolled back by itself.
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")


class _Reading:
    """A thread with a connection of its own, which only reads."""

    def __init__(self, path: Path, sql: dict[str, str]) -> None:
        self._connection = connect(path, read_only=True)
        self._sql = sql
        self._inside = SqliteTransaction(self._connection, sql)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="postroom-read")

    async def fetch(self, query: str, *params: Value) -> list[Row]:
        """All rows of the query."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._fetch, query, params)

    async def snapshot(self, body: Callable[[Reader], Awaitable[T]]) -> T:
        """Run `body` on one state."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._on_one_state, body)

    def close(self) -> None:
        """Wait for what is under way."""
        self._thread.shutdown()
        self._connection.close()

    def _fetch(self, query: str, params: tuple[Value, ...]) -> list[Row]:
        with translated():
            return cast(list[Row], list(self._connection.execute(self._sql[query], params)))

    def _on_one_state(self, body: Callable[[Reader], Awaitable[T]]) -> T:
        with translated():
            self._connection.execute("BEGIN")
            try:
                return _completed(body(self._inside))
            finally:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")


def _completed(body: Awaitable[T]) -> T:
    """The result of a body that never suspends."""
    steps: Generator[Any, Any, T] = body.__await__()
    try:
        next(steps)
    except StopIteration as stop:
        return cast(T, stop.value)
    steps.close()
    raise RuntimeError("a transaction waited for something that is not the database")
