"""Whole tables of a PostgreSQL database: read by key, written with COPY.

A source is held by a transaction that has locked its tables against writing. Servers conflict with that in
the one thing that each of them must do: to register, it writes to `processes`, which is among the tables; it
then holds no slot, delivers nothing, and is not ready. An advisory lock would be a second thing for servers
to hold, on a connection that nothing else needs. A target is held by an advisory lock against a second copy;
servers and commands stay away from a database with an unfinished copy by themselves.
"""

from contextlib import suppress
from itertools import accumulate

import asyncpg

from postroom.domain.errors import StoreError
from postroom.store import copying
from postroom.store.connections import Connection
from postroom.store.copying import TABLES, Column, Piece, Table
from postroom.store.database import Row
from postroom.store.postgres import connect
from postroom.store.trouble import translated

# Any number that nobody else uses: whoever holds it copies into this database.
_COPYING = 0x636F7079
_WITHIN = 5.0  # seconds
_COLUMNS = """
    SELECT a.attname, coalesce(array_position(i.indkey::int2[], a.attnum) + 1, 0), a.attlen < 0
    FROM pg_attribute AS a LEFT JOIN pg_index AS i ON i.indrelid = a.attrelid AND i.indisprimary
    WHERE a.attrelid = to_regclass($1) AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum
"""
_IDENTITY = """
    SELECT pg_postmaster_start_time(), oid FROM pg_database WHERE datname = current_database()
"""


class PostgresTables:
    """The tables of one database, over one connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @classmethod
    async def open(cls, url: str) -> "PostgresTables":
        """Of the database at `url`; statements may take as long as they need, but not wait long for locks.

        Raises:
            StoreError: there is no such database, or it lets nobody in under this name.
            Unavailable: the server is out of reach.
        """
        connection = await connect(url)
        with translated():
            await connection.execute("SET lock_timeout = '5s'")
        return cls(connection)

    async def identity(self) -> tuple[object, ...]:
        """When the server started, to the microsecond, and the database's number there."""
        with translated():
            return tuple(await self._connection.fetchrow(_IDENTITY))

    async def schema(self) -> int:
        """The number of the newest migration; 0 for none."""
        with translated():
            if await self._connection.fetchval("SELECT to_regclass('migrations')") is None:
                return 0
            return int(await self._connection.fetchval("SELECT coalesce(max(number), 0) FROM migrations"))

    async def freeze(self) -> None:
        """Lock every table against writing, in a transaction that stays open.

        Members write `processes` before `series`; whoever took them the other way would wait for each other.
        """
        names = ", ".join(map(copying.quoted, ("processes", *TABLES)))
        with translated():
            await self._connection.execute("BEGIN")
            await self._connection.execute(f"LOCK TABLE {names} IN SHARE MODE")

    async def claim(self) -> None:
        """Keep other copies away; one that was killed is gone in a moment."""
        with translated():
            try:
                await self._connection.execute("SELECT pg_advisory_lock($1)", _COPYING)
            except asyncpg.LockNotAvailableError as error:
                raise StoreError("another postroom copy into the same database is under way") from error

    async def table(self, name: str) -> Table:
        """One as it is declared."""
        with translated():
            declared = await self._connection.fetch(_COLUMNS, name)
        return copying.table(name, (Column(*column) for column in declared))

    async def count(self, name: str) -> int:
        """How many rows a table has."""
        with translated():
            return int(await self._connection.fetchval(f"SELECT count(*) FROM {copying.quoted(name)}"))  # noqa: S608

    async def some(self, table: Table, after: Row | None, piece: Piece) -> list[Row]:
        """Rows from behind a key, as many as their sizes allow, which are asked for first."""
        size = " + ".join(f"coalesce(octet_length({copying.quoted(column)}), 0)" for column in table.long)
        with translated():
            sizes = table.select(size or "0", after, piece.rows)
            sums = accumulate(size for (size,) in await self._connection.fetch(sizes, *(after or ())))
            number = 1 + sum(1 for size in sums if size < piece.size)
            rows = table.select(table.listed, after, min(number, piece.rows))
            return [tuple(row) for row in await self._connection.fetch(rows, *(after or ()))]

    async def add(self, table: Table, rows: list[Row]) -> None:
        """Write rows with COPY, which is a transaction by itself."""
        with translated():
            await self._connection.copy_records_to_table(
                table.name, records=rows, columns=list(table.columns)
            )

    async def settle(self) -> None:
        """As the server would by itself before long; until then it would plan as for empty tables."""
        with translated():
            await self._connection.execute("ANALYZE " + ", ".join(map(copying.quoted, TABLES)))

    async def close(self) -> None:
        """Undo the transaction, and give up the lock."""
        with suppress(OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
            await self._connection.close(timeout=_WITHIN)
