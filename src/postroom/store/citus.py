"""Citus: the big tables are distributed by organization, the small ones are on every node.

Citus does not distribute a table while a foreign key joins it to one that is not distributed yet. So all
foreign keys are dropped first and added again at the end; what they are is read off the migrations. An
interruption leaves a database without some of them, which nobody may use: `migrations` becomes a reference
table before anything else happens, and whoever finds it so finishes the work.

Rules: https://docs.citusdata.com/en/stable/develop/reference_ddl.html
"""

import re
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, NamedTuple

import asyncpg

from postroom.domain.errors import StoreError
from postroom.store.at_work import refuse_beside_others
from postroom.store.trouble import explained

BIG: Final = (
    "messages",
    "deliveries",
    "attempts",
    "listener_counts",
    "liveness",
    "usage_events",
    "usage_totals",
    "activity_heads",
    "people",
    "spaces",
    "activities",
    "activity_duplicates",
    "dirty_days",
    "day_totals",
    "live_counts",
    "live_rooms",
    "imports",
)
"""Distributed by org_id, all colocated with the first; every other table is small."""

MARK: Final = "migrations"
Connection = Any  # asyncpg has no types

_REFERENCE = re.compile(
    r"(?:,\s*FOREIGN KEY\s*\([^)]*\))?\s+REFERENCES\s+\w+\s*\([^)]*\)(?:\s+ON DELETE CASCADE)?"
)
_TABLES = (
    "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = pg_my_temp_schema() ORDER BY oid"
)
_KEYS = """
    SELECT f.relname, t.relname, c.conname, pg_get_constraintdef(c.oid)
    FROM pg_constraint AS c
    JOIN pg_class AS f ON f.oid = c.conrelid
    JOIN pg_class AS t ON t.oid = c.confrelid
    WHERE c.contype = 'f' AND c.connamespace = $1::text::regnamespace
    ORDER BY f.oid, c.conname
"""
# In `pg_dist_partition`, tables of the method n are reference tables (t), or local ones that Citus knows of.
_PLACES = """
    SELECT c.relname, CASE
        WHEN p.partmethod = 'n' AND p.repmodel = 't' THEN 'reference'
        WHEN p.partmethod = 'n' AND p.colocationid = 0 THEN NULL
        WHEN p.partmethod = 'h' AND column_to_column_name(p.logicalrelid, p.partkey) = 'org_id'
            AND p.colocationid = (
                SELECT colocationid FROM pg_dist_partition WHERE logicalrelid = to_regclass('messages')
            ) THEN 'distributed'
        ELSE 'otherwise'
    END
    FROM pg_dist_partition AS p
    JOIN pg_class AS c ON c.oid = p.logicalrelid
    WHERE c.relnamespace = current_schema()::regnamespace
"""


class Key(NamedTuple):
    """A foreign key of the table `of` to the table `to`."""

    of: str
    to: str
    name: str
    definition: str

    @property
    def meaning(self) -> tuple[str, str]:
        """What it says, however it is called."""
        return self.of, self.definition


class Schema(NamedTuple):
    """Tables and foreign keys as the migrations make them."""

    tables: tuple[str, ...]
    keys: tuple[Key, ...]


async def enable(connection: Connection) -> None:
    """Make sure that the database has the extension.

    Raises:
        StoreError: it cannot be had here; the text says what to do.
    """
    if await connection.fetchval("SELECT 1 FROM pg_extension WHERE extname = 'citus'"):
        return
    if not await connection.fetchval("SELECT 1 FROM pg_available_extensions WHERE name = 'citus'"):
        raise StoreError(
            "this PostgreSQL has no Citus; install Citus 12 or newer on each of its nodes"
            " and begin shared_preload_libraries with citus"
        )
    try:
        await connection.execute("CREATE EXTENSION IF NOT EXISTS citus")
    except asyncpg.PostgresError as error:
        raise StoreError(
            f"the extension citus cannot be created ({error}); shared_preload_libraries must begin with"
            " citus, and a superuser may have to run CREATE EXTENSION citus in this database"
        ) from error


async def is_begun(connection: Connection) -> bool:
    """Whether the database is distributed, at least in part."""
    if await connection.fetchval("SELECT to_regclass('pg_dist_partition')") is None:
        return False
    return (await _places(connection)).get(MARK) == "reference"


def without_references(sql: str) -> str:
    """Statements that define tables, without their foreign keys, which `spread` adds later."""
    return _REFERENCE.sub("", sql)


async def schema_of(connection: Connection, migrations: Sequence[str]) -> Schema:
    """What all the migrations together make, tried on tables that nobody else sees and that do not stay."""
    trial = connection.transaction()
    await trial.start()
    try:
        await connection.execute("SET LOCAL search_path = pg_temp")
        for sql in migrations:
            await connection.execute(sql)
        here = await connection.fetchval("SELECT pg_my_temp_schema()::regnamespace::text")
        tables = tuple(name for (name,) in await connection.fetch(_TABLES))
        return Schema((MARK, *tables), tuple(await _keys(connection, here)))
    finally:
        await trial.rollback()


async def spread(
    connection: Connection, schema: Schema, done: Callable[[str], None], *, alone: bool = True
) -> None:
    """Distribute what is not distributed yet, with the data in it; `done` is told the name of each table.

    Raises:
        StoreError: a process is at work, though it should be `alone`, or Citus refuses.
    """
    async with _complaints():
        await connection.execute("SET citus.shard_replication_factor = 1")
        rest = await _rest(connection, schema)
        if alone and rest:
            await refuse_beside_others(connection)
        if MARK in rest:
            await _distribute(connection, MARK)
        await _drop(connection, schema, rest)
        for table in rest:
            if table != MARK:
                await _distribute(connection, table)
            done(table)
        await _forget_what_was_copied(connection, schema)
        await _add(connection, schema)


async def _rest(connection: Connection, schema: Schema) -> list[str]:
    """The tables that are not where they belong, in the order in which they go there.

    Raises:
        StoreError: somebody has distributed one in another way.
    """
    places = await _places(connection)
    rest = []
    for table in schema.tables:
        place, wanted = places.get(table), "distributed" if table in BIG else "reference"
        if place is None:
            rest.append(table)
        elif place != wanted:
            raise StoreError(
                f"the table {table} is distributed already, and not as a {wanted} table by org_id;"
                f" undo that with SELECT undistribute_table('{table}')"
            )
    return sorted(rest, key=_order)


def _order(table: str) -> int:
    """Small tables before big ones, and of these `messages` first."""
    return BIG.index(table) + 1 if table in BIG else 0


async def _distribute(connection: Connection, table: str) -> None:
    if table not in BIG:
        await connection.execute("SELECT create_reference_table($1::text::regclass)", table)
    else:
        beside = "none" if table == BIG[0] else BIG[0]
        await connection.execute(
            "SELECT create_distributed_table($1::text::regclass, 'org_id', colocate_with => $2::text)",
            table,
            beside,
        )


async def _drop(connection: Connection, schema: Schema, rest: Sequence[str]) -> None:
    """All foreign keys of and to these tables, at once."""
    async with connection.transaction():
        for key in await _present(connection, schema):
            if key.of in rest or key.to in rest:
                await connection.execute(f'ALTER TABLE {key.of} DROP CONSTRAINT "{key.name}"')


async def _add(connection: Connection, schema: Schema) -> None:
    """The foreign keys that are missing, one after another: each is checked against all rows."""
    present = {key.meaning for key in await _present(connection, schema)}
    for key in schema.keys:
        if key.meaning not in present:
            await connection.execute(f'ALTER TABLE {key.of} ADD CONSTRAINT "{key.name}" {key.definition}')


async def _forget_what_was_copied(connection: Connection, schema: Schema) -> None:
    """Citus copies rows to the shards, and leaves the old ones on the disk, where nobody sees them."""
    for table in schema.tables:
        if await connection.fetchval("SELECT pg_relation_size($1::text::regclass)", table):
            await connection.execute(
                "SELECT truncate_local_data_after_distributing_table($1::text::regclass)", table
            )


async def _places(connection: Connection) -> dict[str, str | None]:
    return dict(await connection.fetch(_PLACES))


async def _present(connection: Connection, schema: Schema) -> list[Key]:
    here = await connection.fetchval("SELECT current_schema()::regnamespace::text")
    tables = set(schema.tables)
    return [key for key in await _keys(connection, here) if {key.of, key.to} <= tables]


async def _keys(connection: Connection, namespace: str) -> list[Key]:
    return [Key(*row) for row in await connection.fetch(_KEYS, namespace)]


@asynccontextmanager
async def _complaints() -> AsyncIterator[None]:
    """What Citus says is meant for whoever runs it."""
    try:
        yield
    except asyncpg.PostgresError as error:
        if explained(error):
            raise
        hint = f" ({error.hint})" if getattr(error, "hint", None) else ""
        raise StoreError(f"Citus refuses: {error}{hint}") from error
