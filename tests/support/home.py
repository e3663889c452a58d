"""Where a hub lives: a database of its own, embedded or on a server, as a test sees it from outside."""

import asyncio
import re
import subprocess
from collections.abc import Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, closing
from copy import copy
from functools import cache, cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, Literal, Protocol, TypeVar

import apsw
import asyncpg

from postroom.domain.clock import system_clock
from postroom.store import drivers, postgres_schema, sqlite_schema
from postroom.store.database import Database
from tests.support.postgres import Server, wait

T = TypeVar("T")
Row = tuple[Any, ...]
Value = str | int | bytes | None
Kind = Literal["sqlite", "postgresql"]

KINDS: Final[tuple[Kind, ...]] = ("sqlite", "postgresql")
CONNECTIONS: Final = 8
TEMPLATE: Final = "migrated"
FILE: Final = "postroom.db"


class Beside(Protocol):
    """Somebody else's connection; each statement waits for its end, and is a transaction unless BEGIN was."""

    def execute(self, sql: str, params: Sequence[Value] = ()) -> list[Row]:
        """The rows that one statement answers, its parameters $1, $2 and so on."""

    def close(self) -> None:
        """Undo what was begun, and go."""


class Home(Protocol):
    """A migrated database, on which several processes can be at work at once."""

    kind: Kind
    flushers: int

    @property
    def address(self) -> str:
        """What the program is told: where the database is."""

    async def open(self) -> Database:
        """The database as one process has it."""

    def beside(self) -> AbstractContextManager[Beside]:
        """A connection of somebody else's."""

    def rows(self, sql: str, *params: Value) -> list[Row]:
        """What is in the database; also runs a statement for its effect."""

    def stored(self) -> bytes:
        """All that is kept, as it is kept; bytes may stand there as hexadecimal digits."""

    def clear(self) -> None:
        """Forget all that was written since it was made."""

    def close(self) -> None:
        """Leave nothing behind."""


class SqliteBeside:
    """A connection to the same file."""

    def __init__(self, path: Path) -> None:
        self._connection = apsw.Connection(str(path))
        self._connection.execute("PRAGMA foreign_keys = ON")

    def execute(self, sql: str, params: Sequence[Value] = ()) -> list[Row]:
        """As for every home."""
        return list(self._connection.execute(re.sub(r"\$(\d+)", r"?\1", sql), params))

    def close(self) -> None:
        """As for every home."""
        self._connection.close()


class SqliteHome:
    """A data directory with a file."""

    kind: Kind = "sqlite"
    flushers = 1

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / FILE
        if not self.file.exists():
            self.file.write_bytes(_new_file())

    @property
    def address(self) -> str:
        """As for every home."""
        return f"{drivers.SQLITE}{self.file}"

    async def open(self) -> Database:
        """As for every home."""
        return await drivers.open_database(self.address, CONNECTIONS)

    def beside(self) -> "closing[SqliteBeside]":
        """As for every home."""
        return closing(SqliteBeside(self.file))

    def rows(self, sql: str, *params: Value) -> list[Row]:
        """As for every home."""
        with self.beside() as connection:
            return connection.execute(sql, params)

    def stored(self) -> bytes:
        """As for every home."""
        return b"".join(file.read_bytes() for file in self.folder.glob(f"{FILE}*"))

    def clear(self) -> None:
        """Nobody has it open, so a new file takes its place."""
        for file in self.folder.glob(f"{FILE}*"):
            file.unlink()
        self.file.write_bytes(_new_file())

    def close(self) -> None:
        """The folder is somebody else's to remove."""


@cache
def _new_file() -> bytes:
    """The content of a new database, made once."""
    with TemporaryDirectory() as folder:
        sqlite_schema.migrate(Path(folder) / FILE, system_clock)
        return (Path(folder) / FILE).read_bytes()


class PostgresBeside:
    """A connection in a thread of its own, so that it also works while the test's loop waits for it."""

    def __init__(self, url: str) -> None:
        self._thread = ThreadPoolExecutor(1)
        self._runner = asyncio.Runner()
        self._connection = self._wait(asyncpg.connect(url, ssl=False))

    def _wait(self, work: Coroutine[Any, Any, T]) -> T:
        return self._thread.submit(self._runner.run, work).result()

    def execute(self, sql: str, params: Sequence[Value] = ()) -> list[Row]:
        """As for every home."""
        return [tuple(row) for row in self._wait(self._connection.fetch(sql, *params))]

    def close(self) -> None:
        """As for every home."""
        self._wait(self._connection.close())
        self._thread.submit(self._runner.close).result()
        self._thread.shutdown()


class PostgresHome:
    """A database on a server that it shares with others; `port` is that of a proxy before the server."""

    kind: Kind = "postgresql"
    flushers = 2

    def __init__(self, server: Server, name: str) -> None:
        self.server = server
        self.name = name
        self._port: int | None = None

    @classmethod
    def fresh(cls, server: Server, template: str) -> "PostgresHome":
        """A new one."""
        return cls(server, server.fresh(template))

    def through(self, port: int) -> "PostgresHome":
        """The same database, reached over a proxy at this port; closed with the one that it is made from."""
        far = copy(self)
        far._port, far._kept = port, self._kept
        return far

    @property
    def address(self) -> str:
        """As for every home."""
        return self.server.url(self.name, self._port)

    async def open(self) -> Database:
        """As for every home."""
        # Without asking for TLS first, in the middle of which asyncpg complains of being interrupted.
        return await drivers.open_database(f"{self.address}?sslmode=disable", CONNECTIONS)

    def beside(self) -> "closing[PostgresBeside]":
        """As for every home."""
        return closing(PostgresBeside(self.server.url(self.name)))

    @cached_property
    def _kept(self) -> PostgresBeside:
        return PostgresBeside(self.server.url(self.name))

    def rows(self, sql: str, *params: Value) -> list[Row]:
        """As for every home."""
        return self._kept.execute(sql, params)

    def stored(self) -> bytes:
        """As for every home."""
        words = [str(self.server.program("pg_dump")), self.server.url(self.name)]
        return subprocess.run(words, capture_output=True, check=True, timeout=60).stdout

    def clear(self) -> None:
        """Quicker than a new database."""
        tables = self.rows(
            "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
            " AND relname NOT IN ('migrations', 'slots')"
        )
        with self.beside() as connection:
            connection.execute("BEGIN")
            connection.execute("SET LOCAL session_replication_role = replica")  # in any order
            for (table,) in tables:
                connection.execute(f'DELETE FROM "{table}"')
            connection.execute("UPDATE slots SET holder = NULL")
            connection.execute("COMMIT")

    def close(self) -> None:
        """Drop the database, whoever still uses it."""
        if "_kept" in self.__dict__:
            self._kept.close()
        self.server.drop(self.name)


def migrated(server: Server) -> str:
    """A database of this version that others are copies of; its name."""
    server.create(TEMPLATE)
    wait(postgres_schema.migrate(server.url(TEMPLATE), system_clock))
    return TEMPLATE
