"""Brings a PostgreSQL database to this version's schema."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import asyncpg

from postroom.domain.clock import Clock
from postroom.domain.errors import StoreError
from postroom.store import citus
from postroom.store.at_work import LEASES_SINCE, refuse_beside_others
from postroom.store.postgres import connect
from postroom.store.steps import JOURNAL, Migration, known, pending
from postroom.store.trouble import translated

# Any number that nobody else uses: whoever holds it changes the schema.
_LOCK = 0x706F7374
_TRIES, _PAUSE, _WAIT = 20, 0.5, "2s"
# The files are written for SQLite; what is for PostgreSQL alone is a comment there. Text is compared byte by
# byte on both, as ids are in order only so.
_TRANSLATED = (
    (re.compile(r"^--postgresql ", re.MULTILINE), ""),
    (re.compile(r"--.*"), ""),
    (re.compile(r"\bINTEGER\b"), "BIGINT"),
    (re.compile(r"\bBLOB\b"), "BYTEA"),
    (re.compile(r"\bTEXT\b"), 'TEXT COLLATE "C"'),
    (re.compile(r"\) STRICT(, WITHOUT ROWID)?"), ")"),
)


async def migrate(url: str, clock: Clock) -> list[Migration]:
    """Apply what the database at `url` lacks, one process at a time; answers what was applied.

    Raises:
        StoreError: the database was changed by a newer version, or cannot be used; or a process is at work on
            it, and could not work beside what it lacks.
        Unavailable: it is out of reach.
    """
    async with _alone(url) as connection:
        steps = await _apply_pending(connection, clock)
        if await citus.is_begun(connection):  # also finishes what was interrupted, and takes in new tables
            await citus.spread(connection, await _schema(connection), lambda _: None, alone=False)
        return steps


async def distribute(url: str, clock: Clock, done: Callable[[str], None]) -> list[Migration]:
    """Apply what the database lacks, and distribute its tables with Citus; `done` is told each one's name.

    Raises:
        StoreError: there is no Citus, or it refuses; or a process is at work on the database.
        Unavailable: it is out of reach.
    """
    async with _alone(url) as connection:
        await citus.enable(connection)
        steps = await _apply_pending(connection, clock)
        newest, _ = await _applied(connection)
        if newest > len(known()):
            raise StoreError("the database is of a newer version, and so are its tables; use that version")
        await citus.spread(connection, await _schema(connection), done)
        return steps


async def exists(url: str) -> bool:
    """Whether the database at `url` was ever prepared.

    Raises:
        StoreError: there is no such database, or it lets nobody in.
        Unavailable: the server is out of reach.
    """
    connection = await connect(url)
    try:
        with translated():
            return (await _applied(connection))[0] > 0
    finally:
        await connection.close(timeout=5)


def translation(sql: str) -> str:
    """SQL that defines tables, as PostgreSQL wants it."""
    for pattern, replacement in _TRANSLATED:
        sql = pattern.sub(replacement, sql)
    return sql


@asynccontextmanager
async def _alone(url: str) -> AsyncIterator[Any]:
    """A connection to the database, while nobody else changes its schema."""
    connection = await connect(url)
    try:
        with translated():
            await connection.execute("SELECT pg_advisory_lock($1)", _LOCK)
            yield connection
    finally:
        await connection.close(timeout=5)


async def _apply_pending(connection: Any, clock: Clock) -> list[Migration]:
    newest, oldest = await _applied(connection)
    steps = pending(newest, oldest, "the database")
    if newest >= LEASES_SINCE and any(step.oldest > newest for step in steps):
        await refuse_beside_others(connection)  # whose programs could not work beside what comes
    distributed = await citus.is_begun(connection)
    for step in steps:
        await _among_others(partial(_apply, connection, step, clock(), distributed=distributed))
    return list(steps)


async def _among_others(apply: Callable[[], Awaitable[None]]) -> None:
    """Try again where it met with the transactions of processes that serve, and gave way to them."""
    for _ in range(_TRIES):
        try:
            return await apply()
        except (asyncpg.DeadlockDetectedError, asyncpg.LockNotAvailableError):
            await asyncio.sleep(_PAUSE)
    await apply()


async def _schema(connection: Any) -> citus.Schema:
    return await citus.schema_of(connection, [translation(step.sql) for step in known()])


async def _applied(connection: Any) -> tuple[int, int]:
    if await connection.fetchval("SELECT to_regclass('migrations')") is None:
        return 0, 0
    row = await connection.fetchrow("SELECT max(number), max(oldest) FROM migrations")
    return row[0] or 0, row[1] or 0


async def _apply(connection: Any, step: Migration, at: int, *, distributed: bool) -> None:
    async with connection.transaction():
        # Whoever comes after it waits behind it, so it must not wait for long itself.
        await connection.execute(f"SET LOCAL lock_timeout = '{_WAIT}'")
        await connection.execute(translation(JOURNAL))
        if distributed:  # tables come into being without foreign keys, and get them with their place
            await connection.execute("SET LOCAL citus.multi_shard_modify_mode TO 'sequential'")
            await connection.execute(citus.without_references(translation(step.sql)))
        else:
            await connection.execute(translation(step.sql))
        await connection.execute(
            "INSERT INTO migrations (number, name, applied_at, oldest) VALUES ($1, $2, $3, $4)",
            step.number,
            step.name,
            at,
            step.oldest,
        )
