"""A transaction on PostgreSQL, and the text of its statements: what can be done together is one statement."""

from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any, NamedTuple, cast

import asyncpg

from postroom.store import queries
from postroom.store.batches import Part, batched, joined, table_of_insert
from postroom.store.connections import Connection
from postroom.store.database import NotMet, Row, Value
from postroom.store.trouble import in_doubt

Rows = list[tuple[Value, ...]]
Kept = tuple[str, Rows]
"""A query and the rows of parameters that it is for."""

MANY = 8
"""From so many rows on, what is the same in all of them is sent one time; in fewer it may be by chance."""
MOST_TEXTS = 300


class _Given(NamedTuple):
    """A query with its parameters, arrays for `many` rows but for those with the numbers `same`."""

    query: str
    many: bool
    same: tuple[int, ...]
    params: Sequence[Any]


class PostgresTransaction:
    """The methods of a transaction on one connection.

    Rows to insert are kept back until something else is asked for, and sent together: the round trips to the
    server are what a transaction costs. Where nothing else is asked for, that is all of the transaction.
    """

    def __init__(
        self,
        connection: Connection,
        statements: "Statements",
        *,
        begun: bool = False,
        within: float | None = None,
    ) -> None:
        self._connection = connection
        self._statements = statements
        self.begun = begun
        self._within = within  # seconds; None is what the connection was told
        self._inserts: dict[str, tuple[str, Rows]] = {}  # by table
        self._required: dict[str, Rows] = {}

    async def begin(self) -> None:
        """Send BEGIN, unless it was."""
        if not self.begun:
            await self._connection.execute("BEGIN")
            self.begun = True

    async def fetch(self, query: str, *params: Value) -> list[Row]:
        """All rows of the query."""
        await self.flush()
        sql = self._statements.sql[query]
        return cast(list[Row], await self._connection.fetch(sql, *params, timeout=self._within))

    async def fetch_many(self, query: str, rows: Iterable[tuple[Value, ...]]) -> list[Row]:
        """The rows of the query for all rows of parameters, asked for in one statement."""
        columns = list(zip(*rows, strict=True))
        if not columns:
            return []
        if len(columns[0]) == 1:  # for which the server has a better plan
            return await self.fetch(query, *(column[0] for column in columns))
        await self.flush()
        sql = await self._statements.for_many(self._connection, query)
        return cast(list[Row], await self._connection.fetch(sql, *columns))

    async def require(self, query: str, rows: Iterable[tuple[Value, ...]]) -> None:
        """Keep it back as well."""
        if given := list(rows):
            self._required.setdefault(query, []).extend(given)

    async def execute(self, query: str, *params: Value) -> None:
        """Run the query once."""
        if query in self._statements.insert_into:
            await self.execute_many(query, [params])
        else:
            await self.fetch(query, *params)

    async def execute_many(self, query: str, rows: Iterable[tuple[Value, ...]]) -> None:
        """Run the query for all rows of parameters, in one statement."""
        table = self._statements.insert_into.get(query)
        if table is None:
            await self.fetch_many(query, rows)
        elif given := list(rows):
            if table in self._inserts:
                await self.flush()
            self._inserts[table] = query, given

    async def flush(self) -> None:
        """Begin, and insert what was kept back."""
        await self.begin()
        if self._inserts and self._statements.apart:  # Citus lets no statement insert into several tables
            kept, self._inserts = self._inserts, {}
            for one in kept.values():
                await self._send([one], [])
        elif self._inserts:
            await self._send_all()

    async def finish(self) -> None:
        """Do what was kept back; what was begun is then to be committed, and what was not is durable.

        Raises:
            NotMet: what was required does not hold.
            Unavailable: the connection was lost, and it is not known whether it is durable.
        """
        if self._inserts and not self.begun:
            with in_doubt():
                await self._send_all()
            return
        if self._statements.apart or not self._inserts:
            for query, rows in self._required.items():
                if len(await self.fetch_many(query, rows)) < len(rows):
                    raise NotMet(query)
        await self.flush()

    async def _send_all(self) -> None:
        """Everything that was kept back in one statement."""
        inserts, required = list(self._inserts.values()), list(self._required.items())
        self._inserts, self._required = {}, {}
        await self._send(inserts, required)

    async def _send(self, inserts: list[Kept], required: list[Kept]) -> None:
        # Citus is to find each row's organization in one and the same way.
        folded = [_given(*kept, fold=not self._statements.apart) for kept in inserts]
        first = [_given(*kept, fold=False) for kept in required]
        sql = await self._statements.for_inserts(self._connection, folded, first)
        try:
            await self._connection.fetch(sql, *chain.from_iterable(each.params for each in (*first, *folded)))
        except asyncpg.DivisionByZeroError as error:
            raise NotMet(*(query for query, _ in required)) from error


def _given(query: str, rows: Rows, *, fold: bool) -> _Given:
    if len(rows) == 1:
        return _Given(query, False, (), rows[0])
    columns = list(zip(*rows, strict=True))
    if not fold or len(rows) < MANY:
        return _Given(query, True, (), columns)
    same = [number for number, column in enumerate(columns, 1) if column.count(column[0]) == len(column)]
    same = same[: len(columns) - 1]  # something has to tell how many rows there are
    params = [column[0] if number in same else column for number, column in enumerate(columns, 1)]
    return _Given(query, True, tuple(same), params)


class Statements:
    """The text of the named queries, each for one row or for many, or several inserts in one.

    With Citus, where no statement may insert into several distributed tables, they are sent `apart`.
    """

    def __init__(self, *, apart: bool) -> None:
        self.sql = queries.load("postgres")
        self.insert_into = {
            query: table for query, sql in self.sql.items() if (table := table_of_insert(sql)) is not None
        }
        self.apart = apart
        self._types: dict[str, list[str]] = {}
        self._texts: dict[str, str] = {}
        self._joined: dict[tuple[Any, ...], str] = {}

    async def for_many(self, connection: Connection, query: str) -> str:
        """The query as one statement for many rows."""
        if query not in self._texts:
            self._texts[query] = batched(*await self._typed(connection, query))
        return self._texts[query]

    async def for_inserts(self, connection: Connection, inserts: list[_Given], required: list[_Given]) -> str:
        """The inserts as one statement, behind the parameters of what is required."""
        key = tuple([each[:-1] for given in (inserts, required) for each in given])
        text = self._joined.get(key)
        if text is None:
            text = joined(
                *[[await self._part(connection, each) for each in kept] for kept in (inserts, required)]
            )
            if len(self._joined) >= MOST_TEXTS:
                self._joined.clear()
            self._joined[key] = text
        return text

    async def _part(self, connection: Connection, given: _Given) -> Part:
        return Part(*await self._typed(connection, given.query), given.many, given.same)

    async def _typed(self, connection: Connection, query: str) -> tuple[str, list[str]]:
        """A query and the types of its parameters, as the server sees them."""
        if query not in self._types:
            prepared = await connection.prepare(self.sql[query])
            self._types[query] = [each.name for each in prepared.get_parameters()]
        return self.sql[query], self._types[query]
