"""PostgreSQL through asyncpg: a pool of connections, transactions that are run again where that is safe."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from itertools import chain
from typing import Any, cast

import asyncpg

from postroom.domain.errors import Unavailable
from postroom.store import queries
from postroom.store.batches import batched, joined, table_of_insert
from postroom.store.channel import PostgresChannel
from postroom.store.database import NotMet, Reader, Row, T, Transaction, Value
from postroom.store.trouble import FAILURES, explained, is_lost, passes, translated

ACQUIRE_WITHIN = 3.0  # seconds
CONNECT_WITHIN = 3.0
ANSWER_WITHIN = 20.0
_AS_LONG_AS_IT_TAKES = 1e6
_PAUSES = (0.005, 0.02, 0.1, 0.3)
_SETTINGS = {
    "application_name": "postroom",
    "statement_timeout": "15s",
    "lock_timeout": "5s",
    # Less than lock_timeout: who waits for a process that is cut off gets the lock, and does not fail.
    "idle_in_transaction_session_timeout": "4s",
    "jit": "off",
    # Every statement is written for an index; a plan made while a table was new would be kept for long.
    "enable_seqscan": "off",
    # Those of what goes together into many tables take longer to make than to run.
    "plan_cache_mode": "force_generic_plan",
}
_NEVER = 10**12
# Under another name, as nobody is to wait for one that only reads; see `settled_time`.
_AT_LEISURE = (
    "SET LOCAL application_name = 'postroom-reads'; SET LOCAL statement_timeout = 0;"
    " SET LOCAL enable_seqscan = on"
)
Connection = Any  # asyncpg has no types
Columns = list[tuple[Value, ...]]


async def connect(url: str) -> Connection:
    """A single connection, as Postroom uses it, for statements that may take long.

    Raises:
        StoreError: there is no such database, or it lets nobody in under this name.
        Unavailable: the server is out of reach.
    """
    with translated():
        settings = {"application_name": "postroom"}
        return await asyncpg.connect(
            url, timeout=CONNECT_WITHIN, server_settings=settings, target_session_attrs="read-write"
        )


class PostgresTransaction:
    """The methods of a transaction on one connection.

    Rows to insert are kept back until something else is asked for, and sent together: the round trips to the
    server are what a transaction costs.
    """

    def __init__(self, connection: Connection, statements: "Statements", within: float | None = None) -> None:
        self._connection = connection
        self._statements = statements
        self._within = within  # seconds; None is what the connection was told
        self._inserts: dict[str, tuple[str, Columns]] = {}  # by table
        self._required: tuple[str, tuple[Value, ...]] | None = None

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

    async def require(self, query: str, *params: Value) -> None:
        """Keep it back as well; there is one in each transaction, of a series of totals."""
        self._required = query, params

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
        elif columns := list(zip(*rows, strict=True)):
            if table in self._inserts:
                await self.flush()
            self._inserts[table] = query, columns

    async def flush(self) -> None:
        """Insert what was kept back."""
        if not self._inserts:
            return
        queries, columns = zip(*self._inserts.values(), strict=True)
        self._inserts.clear()
        if self._statements.apart:  # Citus lets no statement insert into several tables
            for query, of_one in zip(queries, columns, strict=True):
                await self._insert((query,), of_one)
        else:
            await self._insert(queries, chain.from_iterable(columns))

    async def finish(self) -> None:
        """Do what was kept back, before the commit.

        Raises:
            NotMet: what was required does not hold.
        """
        if self._required and (self._statements.apart or not self._inserts):
            query, params = self._required
            self._required = None
            if not await self.fetch(query, *params):
                raise NotMet(query)
        await self.flush()

    async def _insert(self, queries: tuple[str, ...], columns: Iterable[tuple[Value, ...]]) -> None:
        required, params = self._required or (None, ())
        if self._statements.apart:
            required, params = None, ()
        else:
            self._required = None
        sql = await self._statements.for_inserts(self._connection, queries, required)
        try:
            await self._connection.fetch(sql, *params, *columns)
        except asyncpg.DivisionByZeroError as error:
            raise NotMet(required) from error


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
        self._texts: dict[tuple[str | None, ...], str] = {}

    async def for_many(self, connection: Connection, query: str) -> str:
        """The query as one statement for many rows."""
        key = (query,)
        if key not in self._texts:
            self._texts[key] = batched(self.sql[query], await self._of(connection, query))
        return self._texts[key]

    async def for_inserts(self, connection: Connection, names: tuple[str, ...], required: str | None) -> str:
        """The inserts as one statement, each for many rows, behind the parameters of what is required."""
        key = (required, *names)
        if key not in self._texts:
            inserts = [(self.sql[name], await self._of(connection, name)) for name in names]
            self._texts[key] = joined(inserts, self.sql[required] if required else None)
        return self._texts[key]

    async def _of(self, connection: Connection, query: str) -> list[str]:
        """The types of a query's parameters, as the server sees them."""
        if query not in self._types:
            prepared = await connection.prepare(self.sql[query])
            self._types[query] = [each.name for each in prepared.get_parameters()]
        return self._types[query]


class PostgresDatabase:
    """A PostgreSQL database, already migrated, over a pool of connections."""

    def __init__(self, url: str, pool: Any, statements: Statements) -> None:
        self._pool = pool
        self._statements = statements
        self.channel = PostgresChannel(url)

    @classmethod
    async def open(cls, url: str, connections: int) -> "PostgresDatabase":
        """The database at `url`, over at most so many connections.

        Raises:
            StoreError: there is no such database, or it lets nobody in under this name.
            Unavailable: the server is out of reach.
        """
        with translated():
            pool = await asyncpg.create_pool(
                url,
                min_size=0,  # a floor would be restored by the pool itself, with a traceback for each failure
                init_size=1,
                max_size=connections,
                timeout=CONNECT_WITHIN,
                command_timeout=ANSWER_WITHIN,
                statement_cache_size=500,
                max_cached_statement_lifetime=0,
                max_queries=_NEVER,
                server_settings=_SETTINGS,
                target_session_attrs="read-write",
                init=_be_durable,
                reset=_leave_as_it_is,
            )
            citus = await pool.fetchval("SELECT 1 FROM pg_extension WHERE extname = 'citus'")
        return cls(url, pool, Statements(apart=citus is not None))

    @property
    def apart(self) -> Reader:
        """The database itself: whoever reads here has a connection to himself."""
        return self

    async def fetch(self, query: str, *params: Value) -> list[Row]:
        """All rows of the query."""

        async def body(connection: Connection) -> list[Row]:
            return cast(list[Row], await connection.fetch(self._statements.sql[query], *params))

        return await self._again(body)

    async def transaction(self, body: Callable[[Transaction], Awaitable[T]]) -> T:
        """Run `body` between BEGIN and COMMIT; again from its start, where it failed without being wrong."""

        async def attempt(connection: Connection) -> T:
            await connection.execute("BEGIN")
            try:
                inside = PostgresTransaction(connection, self._statements)
                result = await body(inside)
                await inside.finish()
            except BaseException as error:
                if not is_lost(error):  # else nobody would hear of it, and the wait would be as long again
                    await _roll_back(connection)
                raise
            await _commit(connection)
            return result

        return await self._again(attempt)

    async def snapshot(self, body: Callable[[Reader], Awaitable[T]]) -> T:
        """Run `body` in a transaction that only reads, all of it at one state, however long it takes."""

        async def attempt(connection: Connection) -> T:
            async with connection.transaction(isolation="repeatable_read", readonly=True):
                await connection.execute(_AT_LEISURE)
                return await body(PostgresTransaction(connection, self._statements, _AS_LONG_AS_IT_TAKES))

        return await self._again(attempt)

    async def version(self) -> None:
        """It cannot be told whether somebody else wrote: somebody always does."""

    async def settled(self) -> int:
        """When the oldest transaction under way began, ms, or else now."""
        ((at,),) = await self.fetch("settled_time")
        return cast(int, at)

    async def now(self) -> int:
        """The server's time, ms, by which all processes go."""
        ((now,),) = await self.fetch("database_time")
        return cast(int, now)

    async def close(self) -> None:
        """Give up the connections."""
        try:
            async with asyncio.timeout(ACQUIRE_WITHIN):
                await self._pool.close()
        except FAILURES:
            self._pool.terminate()

    async def _again(self, attempt: Callable[[Connection], Awaitable[T]]) -> T:
        """What the attempt answers; tried again where it was in nobody's hands that it failed."""
        for pause in (*_PAUSES, None):
            try:
                async with self._connection() as connection:
                    return await attempt(connection)
            except Exception as error:
                if pause is None or not passes(error):
                    if told := explained(error):
                        raise told from error
                    raise
            await asyncio.sleep(pause * (0.5 + random.random()))  # noqa: S311
        raise AssertionError("the last attempt neither answered nor failed")

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[Connection]:
        connection = await self._pool.acquire(timeout=ACQUIRE_WITHIN)
        try:
            yield connection
        except BaseException as error:
            if is_lost(error):
                connection.terminate()
                await self._pool.expire_connections()  # or each would be found lost in turn
            raise
        finally:
            with suppress(TimeoutError):  # what the server is still doing then, it does for nobody
                await self._pool.release(connection)


async def _roll_back(connection: Connection) -> None:
    with suppress(*FAILURES):
        await connection.execute("ROLLBACK")


async def _commit(connection: Connection) -> None:
    try:
        answer = await connection.execute("COMMIT")
    except Exception as error:
        if is_lost(error):  # it may be committed, so it must not be done again
            raise Unavailable("the connection was lost in the middle of a commit; try again", 2) from error
        raise
    if answer != "COMMIT":
        raise RuntimeError("a transaction went on after an error, and is undone")


async def _be_durable(connection: Connection) -> None:
    """An acknowledged write is on disk, whatever the server was told; stricter settings stay."""
    await connection.execute(
        "SELECT set_config('synchronous_commit', 'on', false)"
        " WHERE current_setting('synchronous_commit') = 'off'"
    )


async def _leave_as_it_is(connection: Connection) -> None:
    """A connection goes back as it came: nothing here changes its state, and a reset costs a round trip."""
