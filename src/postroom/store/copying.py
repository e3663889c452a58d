"""The port for moving whole databases: the rows of one table after another, in bulk.

Rows are read in the order of their primary key, from behind a key, and written some at a time, each time in
one transaction. So the last key in a table tells how far an interrupted copy came. Text is compared byte by
byte in both databases, so both have the same order.
"""

from collections.abc import Iterable
from typing import NamedTuple, Protocol

from postroom.store.database import Row
from postroom.store.drivers import file_of

TABLES = (
    "organizations",
    "api_keys",
    "queues",
    "schemas",
    "listeners",
    "removals",
    "messages",
    "deliveries",
    "attempts",
    "listener_counts",
    "liveness",
    "usage_events",
    "usage_totals",
    "series",
    "sources",
    "activity_heads",
    "people",
    "spaces",
    "activities",
    "activity_duplicates",
    "dirty_days",
    "day_totals",
    "live_sources",
    "live_periods",
    "live_counts",
    "live_rooms",
    "imports",
)
"""What is copied, and after what it refers to. Who serves, and who holds what, is left behind."""

_LEFT_BEHIND = {"series": {"holder", "expires_at", "term"}}
_REFER_TO_THEMSELVES = {"organizations"}


class Piece(NamedTuple):
    """The most that is read and written at once; whichever is reached first ends it."""

    rows: int = 5_000
    size: int = 8 << 20  # bytes, about


PIECE = Piece()
_WHOLE = Piece(1 << 31, 1 << 62)


class Table(NamedTuple):
    """A table's columns that are copied, those of its primary key, and those that hold text or bytes."""

    name: str
    columns: tuple[str, ...]
    key: tuple[str, ...]
    long: tuple[str, ...]

    def key_of(self, row: Row) -> Row:
        """Where the row stands."""
        return tuple(row[self.columns.index(column)] for column in self.key)

    def piece(self, wanted: Piece) -> Piece:
        """A piece that can be written before what follows it."""
        return _WHOLE if self.name in _REFER_TO_THEMSELVES else wanted

    def select(self, what: str, after: Row | None, limit: int) -> str:
        """A query for the first rows, or for those behind the key that is given as its parameters."""
        key = ", ".join(map(quoted, self.key))
        given = ", ".join(f"${number}" for number in range(1, len(self.key) + 1))
        behind = f"WHERE ({key}) > ({given})" if after else ""
        return f"SELECT {what} FROM {quoted(self.name)} {behind} ORDER BY {key} LIMIT {limit}"  # noqa: S608

    @property
    def listed(self) -> str:
        """The columns, as a query lists them."""
        return ", ".join(map(quoted, self.columns))


class Tables(Protocol):
    """All tables of one database, over a connection of its own."""

    async def identity(self) -> tuple[object, ...]:
        """Equal for two that are the same database, whatever their addresses."""

    async def schema(self) -> int:
        """The number of the newest migration; 0 for none."""

    async def freeze(self) -> None:
        """Let nobody write to the database until `close`.

        Raises:
            StoreError: a server is at work on it.
            Unavailable: somebody writes just now, and does not come to an end.
        """

    async def claim(self) -> None:
        """Let no other copy from or into this database begin until `close`.

        Raises:
            StoreError: one is under way, or a server is at work on it.
        """

    async def table(self, name: str) -> Table:
        """One as it is declared."""

    async def count(self, name: str) -> int:
        """How many rows a table has."""

    async def some(self, table: Table, after: Row | None, piece: Piece) -> list[Row]:
        """Rows from behind the key `after`, by their keys; one at least, if there is one."""

    async def add(self, table: Table, rows: list[Row]) -> None:
        """Write rows, all or none of them; durable when this returns."""

    async def settle(self) -> None:
        """All rows are there: let the database learn how they are distributed."""

    async def close(self) -> None:
        """Give up the connection, and all that is held."""


async def open_tables(address: str) -> Tables:
    """The tables of the database at an address, also of one that was never prepared.

    Raises:
        StoreError: it cannot be used.
        Unavailable: it is busy, full or out of reach.
    """
    file = file_of(address)
    if file is not None:
        from postroom.store.sqlite_copying import SqliteTables  # noqa: PLC0415 - as in drivers.py

        return SqliteTables(file)
    from postroom.store.postgres_copying import PostgresTables  # noqa: PLC0415

    return await PostgresTables.open(address)


class Column(NamedTuple):
    """As it is declared; `place` is its place in the primary key, and less than 1 where it has none."""

    name: str
    place: int
    is_long: bool


def table(name: str, declared: Iterable[Column]) -> Table:
    """A table with these columns, without what is left behind."""
    copied = [column for column in declared if column.name not in _LEFT_BEHIND.get(name, ())]
    key = sorted((column for column in copied if column.place > 0), key=lambda column: column.place)
    long = [column for column in copied if column.is_long]
    return Table(name, _names(copied), _names(key), _names(long))


def _names(columns: list[Column]) -> tuple[str, ...]:
    return tuple(column.name for column in columns)


def quoted(name: str) -> str:
    """The name of a table or column, as a query has it."""
    return f'"{name}"'
