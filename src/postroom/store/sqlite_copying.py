"""Whole tables of a SQLite file.

Its source holds the lock file, so that no server starts, and a transaction that may write, so that no
command writes beside it: whoever tries is told that the database is busy.
"""

from contextlib import ExitStack
from pathlib import Path

from postroom.domain.errors import StoreError
from postroom.store import copying, lock
from postroom.store.copying import Column, Piece, Table
from postroom.store.database import Row
from postroom.store.sqlite import connect, translated

_CHECKPOINT_PAGES = 1000


class SqliteTables:
    """The tables of one file."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._held = ExitStack()
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._connection = connect(file)
        self._connection.wal_autocheckpoint(_CHECKPOINT_PAGES)

    async def identity(self) -> tuple[object, ...]:
        """What the system knows the file by."""
        found = self._file.stat()
        return found.st_dev, found.st_ino

    async def schema(self) -> int:
        """The number of the newest migration; 0 for none."""
        with translated():
            if not list(self._connection.execute("PRAGMA table_info(migrations)")):
                return 0
            return int(self._connection.execute("SELECT coalesce(max(number), 0) FROM migrations").get)

    async def freeze(self) -> None:
        """Keep servers away, and whoever else would write."""
        await self.claim()
        with translated():
            self._connection.execute("BEGIN IMMEDIATE")

    async def claim(self) -> None:
        """Keep servers away, and other copies."""
        path = self._file.with_name(self._file.name.removesuffix(".db") + ".lock")
        try:
            self._held.enter_context(lock.held(path))
        except StoreError as error:
            holder = path.read_text() or "another one"
            raise StoreError(f"process {holder} is at work on {self._file}; stop it first") from error

    async def table(self, name: str) -> Table:
        """One as it is declared."""
        with translated():
            declared = list(self._connection.execute(f"PRAGMA table_info({name})"))
        return copying.table(
            name, (Column(column, place, kind != "INTEGER") for _, column, kind, _, _, place in declared)
        )

    async def count(self, name: str) -> int:
        """How many rows a table has."""
        with translated():
            return int(self._connection.execute(f"SELECT count(*) FROM {copying.quoted(name)}").get)  # noqa: S608

    async def some(self, table: Table, after: Row | None, piece: Piece) -> list[Row]:
        """Rows from behind a key, until they are enough."""
        rows: list[Row] = []
        size = 0
        with translated():
            cursor = self._connection.cursor()
            sql = table.select(table.listed, after, piece.rows).replace("$", "?")
            for row in cursor.execute(sql, after or ()):
                rows.append(row)
                size += sum(len(value) for value in row if isinstance(value, str | bytes))
                if size >= piece.size:
                    break
            cursor.close(True)
        return rows

    async def add(self, table: Table, rows: list[Row]) -> None:
        """Write rows in one transaction."""
        marks = ", ".join("?" * len(table.columns))
        sql = f"INSERT INTO {copying.quoted(table.name)} ({table.listed}) VALUES ({marks})"  # noqa: S608
        with translated():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                self._connection.execute("PRAGMA defer_foreign_keys = ON")
                self._connection.executemany(sql, rows)
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:  # a full disk has rolled it back already
                    self._connection.execute("ROLLBACK")
                raise

    async def settle(self) -> None:
        """SQLite plans Postroom's queries by the indexes alone."""

    async def close(self) -> None:
        """Undo the transaction that kept others away, and give up the lock."""
        self._connection.close(True)
        self._held.close()
