"""The port to a database: named queries, transactions, and whether somebody else wrote."""

from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Protocol, TypeVar

T = TypeVar("T")
Value = str | int | bytes | None
Row = tuple[Any, ...]


class NotMet(Exception):
    """What a transaction required does not hold; the transaction is undone."""


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

    async def require(self, query: str, rows: Iterable[tuple[Value, ...]]) -> None:
        """Let the transaction be durable only if the query answers a row for each row of parameters.

        It may be run as late as with the commit.

        Raises:
            NotMet: it has none; raised here, by a later method, or by the transaction itself.
        """

    async def execute(self, query: str, *params: Value) -> None:
        """Run a query for its effect."""

    async def execute_many(self, query: str, rows: Iterable[tuple[Value, ...]]) -> None:
        """Run a query for its effect once for each of the `rows` of parameters."""


class Channel(Protocol):
    """News between the processes that share a database; now and then some are lost."""

    async def listen(self, heard: Callable[[str], None], ready: Callable[[], None]) -> None:
        """Call `ready` when connected, then `heard` with whatever any process sends, until that ends.

        Raises:
            Unavailable: the connection is lost.
        """

    async def send(self, text: str) -> None:
        """Tell every process, this one too; dropped while there is no connection."""


class Database(Reader, Protocol):
    """A database with the schema of this version."""

    @property
    def channel(self) -> Channel | None:
        """To other processes that serve from the same database; None where there can be no others."""

    @property
    def apart(self) -> Reader:
        """Reads what may take long, so that nothing else waits for it."""

    async def transaction(self, body: Callable[[Transaction], Awaitable[T]], *, at_once: bool = False) -> T:
        """Run `body` in one transaction, durable when this returns, undone when it raises.

        It may be run more than once, each time from its start and on the state of that moment. One that is
        done `at_once` may begin later than `body` does, as late as with the first query that it asks.

        Raises:
            NotMet: what it required does not hold; or, done at once, it began too late.
            Unavailable: the database is busy, full or out of reach. Nothing was changed, unless the
                connection was lost in the middle of the commit.
        """

    async def snapshot(self, body: Callable[[Reader], Awaitable[T]]) -> T:
        """Run `body`, which only reads, on one state of the database; nobody's writes wait for it.

        Raises:
            Unavailable: the database is out of reach.
        """

    async def version(self) -> int | None:
        """A number that changes when another process writes; None where others write all the time."""

    async def settled(self) -> int | None:
        """All that bears an earlier time than this, ms, can be read by now; None where that is so of all.

        A transaction bears the time of its beginning, and one that began later may be done before it. Where
        one that is done at once begins a little later than it says, this lags as far behind.
        """

    async def now(self) -> int:
        """The time, ms, that all processes on this database have in common."""

    async def close(self) -> None:
        """Give up the connections."""
