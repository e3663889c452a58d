"""Brings a PostgreSQL database to this version's schema."""

import re
from typing import Any

from postroom.domain.clock import Clock
from postroom.store.postgres import connect
from postroom.store.steps import JOURNAL, Migration, pending
from postroom.store.trouble import translated

# Any number that nobody else uses: whoever holds it changes the schema.
_LOCK = 0x706F7374
# The files are written for SQLite. Text is compared byte by byte on both, as ids are in order only so.
_TRANSLATED = (
    (re.compile(r"--.*"), ""),
    (re.compile(r"\bINTEGER\b"), "BIGINT"),
    (re.compile(r"\bBLOB\b"), "BYTEA"),
    (re.compile(r"\bTEXT\b"), 'TEXT COLLATE "C"'),
    (re.compile(r"\) STRICT(, WITHOUT ROWID)?"), ")"),
)


async def migrate(url: str, clock: Clock) -> list[Migration]:
    """Apply what the database at `url` lacks, one process at a time; answers what was applied.

    Raises:
        StoreError: the database was changed by a newer version, or cannot be used.
        Unavailable: it is out of reach.
    """
    connection = await connect(url)
    try:
        with translated():
            await connection.execute("SELECT pg_advisory_lock($1)", _LOCK)
            steps = pending(*await _applied(connection), "the database")
            for step in steps:
                await _apply(connection, step, clock())
        return list(steps)
    finally:
        await connection.close(timeout=5)


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


async def _applied(connection: Any) -> tuple[int, int]:
    if await connection.fetchval("SELECT to_regclass('migrations')") is None:
        return 0, 0
    row = await connection.fetchrow("SELECT max(number), max(oldest) FROM migrations")
    return row[0] or 0, row[1] or 0


async def _apply(connection: Any, step: Migration, at: int) -> None:
    async with connection.transaction():
        await connection.execute(translation(JOURNAL))
        await connection.execute(translation(step.sql))
        await connection.execute(
            "INSERT INTO migrations (number, name, applied_at, oldest) VALUES ($1, $2, $3, $4)",
            step.number,
            step.name,
            at,
            step.oldest,
        )
