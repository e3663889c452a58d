"""The port to a database: named queries, transactions, and whether somebody else wrote."""

from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Protocol, TypeVar

T = TypeVar("T")
Value = str | int | bytes | None
Row = tuple[Any, ...]


class Reader(Protocol):
    """Runs named queries that read."""

    async def fetch(self, query: str, *params: Value) -> list[Row]:
        """All rows of the query `query`.

        Raises:
            Unavailable: the database is busy, full or out of reach.
        """


class Transaction(Reader, Protocol):
    """A transaction under way; whoever holds it awaits nothing but its methods."""

    async def fetch_many(self, query: str, rows: Iterable[tuple[Value, ...]]) -> list[Row]:
        """The rows that the query answers for each of the `rows` of parameters, one after another."""

    async def execute(self, query: str, *params: Value) -> None:
        """Run a query for its effect."""

    async def execute_many(self, query: str, rows: Iterable[tuple[Value, ...]]) -> None:
        """Run a query for its effect once for each of the `rows` of parameters."""


class Database(Reader, Protocol):
    """A database with the schema of this version."""

    @property
    def apart(self) -> Reader:
        """Reads what may take long, so that nothing else waits for it."""

    async def transaction(self, body: Callable[[Transaction], Awaitable[T]]) -> T:
        """Run `body` in one transaction, durable when this returns, undone when it raises.

        Raises:
            Unavailable: the database is busy, full or out of reach; nothing was changed.
        """

    async def snapshot(self, body: Callable[[Reader], Awaitable[T]]) -> T:
        """Run `body`, which only reads, on one state of the database; nobody's writes wait for it.

        Raises:
            Unavailable: the database is out of reach.
        """

    async def version(self) -> int:
        """A number that changes when another process writes."""

    async def close(self) -> None:
        """Give up the connections."""
