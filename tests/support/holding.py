"""A database whose answers a test holds back, to have something else happen between asking and answering."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable

from postroom.store.database import Channel, Database, Reader, Row, T, Transaction, Value
from tests.support.home import PostgresHome


class Answer:
    """An answer that was given, and is held back from whoever asked until it is let go."""

    def __init__(self) -> None:
        self._given = asyncio.Event()
        self._gate = asyncio.Event()

    async def given(self) -> None:
        """Wait until the database has answered."""
        async with asyncio.timeout(60):
            await self._given.wait()

    def let_go(self) -> None:
        """Let whoever asked have it."""
        self._gate.set()

    async def hold(self) -> None:
        """Here it is; wait."""
        self._given.set()
        await self._gate.wait()


class Holding:
    """The port to a real database; `asked` counts the queries by name."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._answers: dict[str, Answer] = {}
        self._commits: dict[str, Answer] = {}
        self.asked: Counter[str] = Counter()

    def hold(self, query: str) -> Answer:
        """The next answer to this query."""
        return self._answers.setdefault(query, Answer())

    def hold_commit(self, query: str) -> Answer:
        """The answer to the commit of the next transaction that asks this query."""
        return self._commits.setdefault(query, Answer())

    @property
    def channel(self) -> Channel | None:
        """The database's own."""
        return self._database.channel

    @property
    def apart(self) -> Reader:
        """Held, too."""
        return self

    async def fetch(self, query: str, *params: Value) -> list[Row]:
        """As the database does."""
        rows = await self._database.fetch(query, *params)
        await self.passed(query)
        return rows

    async def transaction(self, body: Callable[[Transaction], Awaitable[T]], *, at_once: bool = False) -> T:
        """As the database does."""
        inside = Inside(self)

        async def watched(tx: Transaction) -> T:
            return await body(inside.of(tx))

        result = await self._database.transaction(watched, at_once=at_once)
        for query in inside.asked & self._commits.keys():
            await self._commits.pop(query).hold()
        return result

    async def snapshot(self, body: Callable[[Reader], Awaitable[T]]) -> T:
        """As the database does."""
        return await self._database.snapshot(body)

    async def version(self) -> int | None:
        """As the database does."""
        return await self._database.version()

    async def settled(self) -> int | None:
        """As the database does."""
        return await self._database.settled()

    async def now(self) -> int:
        """As the database does."""
        return await self._database.now()

    async def close(self) -> None:
        """As the database does."""
        await self._database.close()

    async def passed(self, query: str) -> None:
        """The query was answered."""
        self.asked[query] += 1
        if answer := self._answers.pop(query, None):
            await answer.hold()


class Inside:
    """A transaction of such a database, with the names of what was `asked` in it."""

    def __init__(self, database: Holding) -> None:
        self._database = database
        self.asked: set[str] = set()

    def of(self, tx: Transaction) -> "Inside":
        """It is begun, maybe again."""
        self._tx = tx
        return self

    async def fetch(self, query: str, *params: Value) -> list[Row]:
        """As the transaction does."""
        rows = await self._tx.fetch(query, *params)
        await self._passed(query)
        return rows

    async def fetch_many(self, query: str, rows: Iterable[tuple[Value, ...]]) -> list[Row]:
        """As the transaction does."""
        found = await self._tx.fetch_many(query, rows)
        await self._passed(query)
        return found

    async def require(self, query: str, rows: Iterable[tuple[Value, ...]]) -> None:
        """As the transaction does."""
        await self._tx.require(query, rows)
        await self._passed(query)

    async def execute(self, query: str, *params: Value) -> None:
        """As the transaction does."""
        await self._tx.execute(query, *params)
        await self._passed(query)

    async def execute_many(self, query: str, rows: Iterable[tuple[Value, ...]]) -> None:
        """As the transaction does."""
        await self._tx.execute_many(query, rows)
        await self._passed(query)

    async def _passed(self, query: str) -> None:
        self.asked.add(query)
        await self._database.passed(query)


class HoldingHome(PostgresHome):
    """A home whose hubs have such a database: the one that was opened last is at hand."""

    database: Holding

    async def open(self) -> Database:
        """As every home does."""
        self.database = Holding(await super().open())
        return self.database
