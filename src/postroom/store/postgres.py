"""PostgreSQL through asyncpg: transactions that are run again where that is safe."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import cast

from postroom.store.channel import PostgresChannel
from postroom.store.connections import Connection, Connections
from postroom.store.database import Reader, Row, T, Transaction, Value
from postroom.store.postgres_transaction import PostgresTransaction, Statements
from postroom.store.sessions import NO_HURRY, begin_session
from postroom.store.trouble import (
    FAILURES,
    explained,
    in_doubt,
    is_lost,
    passes,
    reaching,
    refused_for_now,
)

ACQUIRE_WITHIN = 3.0  # seconds
CONNECT_WITHIN = 3.0
ANSWER_WITHIN = 20.0
LATE_BY = 25  # ms
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
    # Those of what goes together into many tables take longer to make than to run. Not so with Citus.
    "plan_cache_mode": "force_generic_plan",
}
# Under another name, as nobody is to wait for one that only reads; see `settled_time`.
_AT_LEISURE = (
    "SET LOCAL application_name = 'postroom-reads'; SET LOCAL statement_timeout = 0;"
    " SET LOCAL enable_seqscan = on"
)


async def connect(url: str) -> Connection:
    """A single connection, as Postroom uses it, whose statements may take as long as they need.

    Raises:
        StoreError: there is no such database, or it lets nobody in under this name.
        Unavailable: the server is out of reach.
    """
    with reaching(url):
        settings = {"application_name": "postroom"}
        return await begin_session(url, NO_HURRY, timeout=CONNECT_WITHIN, server_settings=settings)


class PostgresDatabase:
    """A PostgreSQL database, already migrated, over a pool of connections."""

    def __init__(self, url: str, connections: Connections, statements: Statements) -> None:
        self._connections = connections
        self._statements = statements
        self._ahead = 0  # ms, of the server's clock before the steady one of this machine; never too many
        self.channel = PostgresChannel(url)

    @classmethod
    async def open(cls, url: str, connections: int) -> "PostgresDatabase":
        """The database at `url`, over at most so many connections.

        Raises:
            StoreError: there is no such database, or it lets nobody in under this name.
            Unavailable: the server is out of reach.
        """
        with reaching(url):
            first = await _connect(url)
            citus = await first.fetchval("SELECT 1 FROM pg_extension WHERE extname = 'citus'")
        pool = Connections(first, partial(_connect_again, url), connections, ACQUIRE_WITHIN)
        database = cls(url, pool, Statements(apart=citus is not None))
        await database.now()
        return database

    @property
    def apart(self) -> Reader:
        """The database itself: whoever reads here has a connection to himself."""
        return self

    async def fetch(self, query: str, *params: Value) -> list[Row]:
        """All rows of the query."""

        async def body(connection: Connection) -> list[Row]:
            return cast(list[Row], await connection.fetch(self._statements.sql[query], *params))

        return await self._again(body)

    async def transaction(self, body: Callable[[Transaction], Awaitable[T]], *, at_once: bool = False) -> T:
        """Run `body` between BEGIN and COMMIT; again from its start, where it failed without being wrong.

        What is to be done at once begins with the first query, or is one statement: a single round trip.
        """

        async def attempt(connection: Connection) -> T:
            inside = PostgresTransaction(connection, self._statements)
            if at_once and not self._statements.apart:
                await inside.require("begun_in_time", [(_steady() + self._ahead + LATE_BY,)])
            else:
                await inside.begin()
            try:
                result = await body(inside)
                await inside.finish()
            except BaseException as error:
                if inside.begun and not is_lost(error):  # else the wait would be as long again, for nothing
                    await _roll_back(connection)
                raise
            if inside.begun:
                await _commit(connection)
            return result

        return await self._again(attempt)

    async def snapshot(self, body: Callable[[Reader], Awaitable[T]]) -> T:
        """Run `body` in a transaction that only reads, all of it at one state, however long it takes."""

        async def attempt(connection: Connection) -> T:
            async with connection.transaction(isolation="repeatable_read", readonly=True):
                await connection.execute(_AT_LEISURE)
                return await body(
                    PostgresTransaction(connection, self._statements, begun=True, within=_AS_LONG_AS_IT_TAKES)
                )

        return await self._again(attempt)

    async def version(self) -> None:
        """It cannot be told whether somebody else wrote: somebody always does."""

    async def settled(self) -> int:
        """When the oldest transaction under way began, ms, or else now; less what one may be late by."""
        ((at,),) = await self.fetch("settled_time", LATE_BY)
        return cast(int, at)

    async def now(self) -> int:
        """The server's time, ms, by which all processes go."""
        before = _steady()
        ((now,),) = await self.fetch("database_time")
        if not now - _steady() <= self._ahead <= now - before:
            self._ahead = now - _steady()
        return cast(int, now)

    async def close(self) -> None:
        """Give up the connections."""
        await self._connections.close()

    async def _again(self, attempt: Callable[[Connection], Awaitable[T]]) -> T:
        """What the attempt answers; tried again where it was in nobody's hands that it failed."""
        for pause in (*_PAUSES, None):
            try:
                return await self._try(attempt)
            except Exception as error:
                if pause is None or not passes(error):
                    if told := explained(error):
                        raise told from error
                    raise
            await asyncio.sleep(pause * (0.5 + random.random()))  # noqa: S311
        raise AssertionError("the last attempt neither answered nor failed")

    async def _try(self, attempt: Callable[[Connection], Awaitable[T]]) -> T:
        connection = await self._connections.acquire()
        try:
            result = await attempt(connection)
        except BaseException as error:
            lost = is_lost(error) or is_lost(error.__cause__)
            if lost or not isinstance(error, Exception):  # who is cancelled leaves something under way
                self._connections.discard(connection, with_others=lost)
            else:
                self._connections.release(connection)
            raise
        self._connections.release(connection)
        return result


async def _connect(url: str) -> Connection:
    """A connection for transactions, all of which are short."""
    return await begin_session(
        url,
        timeout=CONNECT_WITHIN,
        command_timeout=ANSWER_WITHIN,
        statement_cache_size=500,
        max_cached_statement_lifetime=0,
        server_settings=_SETTINGS,
    )


async def _connect_again(url: str) -> Connection:
    """One more, to the database that could be used before."""
    with refused_for_now():
        return await _connect(url)


async def _roll_back(connection: Connection) -> None:
    with suppress(*FAILURES):
        await connection.execute("ROLLBACK")


async def _commit(connection: Connection) -> None:
    with in_doubt():
        answer = await connection.execute("COMMIT")
    if answer != "COMMIT":
        raise RuntimeError("a transaction went on after an error, and is undone")


def _steady() -> int:
    """Milliseconds since some moment, whatever is done to the machine's clock."""
    return time.monotonic_ns() // 1_000_000
