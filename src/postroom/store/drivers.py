"""Which database an address means: `sqlite:PATH`, or `postgresql://USER@HOST:PORT/NAME`."""

from collections.abc import Callable
from pathlib import Path

from postroom.domain.clock import Clock
from postroom.domain.errors import StoreError
from postroom.store.database import Database
from postroom.store.steps import Migration

SQLITE = "sqlite:"
POSTGRES = ("postgresql://", "postgres://")


def file_of(address: str) -> Path | None:
    """The file that the address means; None where it means a server.

    Raises:
        StoreError: it means neither.
    """
    if address.startswith(SQLITE):
        path = Path(address.removeprefix(SQLITE))
        return path / "postroom.db" if path.is_dir() else path
    if address.startswith(POSTGRES):
        return None
    raise StoreError(f"a database is sqlite:PATH or {POSTGRES[0]}USER@HOST/NAME")


async def exists(address: str) -> bool:
    """Whether there is a database of Postroom's at this address.

    Raises:
        StoreError: there is no such server or database, or it lets nobody in.
        Unavailable: the server is out of reach.
    """
    file = file_of(address)
    if file is not None:
        return file.exists()
    from postroom.store import postgres_schema  # noqa: PLC0415

    return await postgres_schema.exists(address)


async def open_database(address: str, connections: int) -> Database:
    """The database, already migrated; a server is given at most so many connections.

    Raises:
        StoreError: it cannot be used.
        Unavailable: it is busy, full or out of reach.
    """
    file = file_of(address)
    if file is not None:
        from postroom.store.sqlite import SqliteDatabase  # noqa: PLC0415 - only one driver is loaded

        return SqliteDatabase(file)
    from postroom.store.postgres import PostgresDatabase  # noqa: PLC0415

    return await PostgresDatabase.open(address, connections)


async def migrate(
    address: str, clock: Clock, may_change: Callable[[], None] = lambda: None
) -> list[Migration]:
    """Bring the database to this version's schema; answers what was applied.

    `may_change` is called before an existing schema is changed, and raises where that must not be.

    Raises:
        StoreError: the database was changed by a newer version, or cannot be used.
        Unavailable: it is busy, full or out of reach.
    """
    file = file_of(address)
    if file is not None:
        from postroom.store import sqlite_schema  # noqa: PLC0415

        return sqlite_schema.migrate(file, clock, may_change)
    from postroom.store import postgres_schema  # noqa: PLC0415

    return await postgres_schema.migrate(address, clock)


async def distribute(address: str, clock: Clock, done: Callable[[str], None]) -> list[Migration]:
    """Bring the database to this version's schema, and distribute its tables over the nodes of Citus.

    `done` is told the name of each table; answers the migrations that were applied.

    Raises:
        StoreError: it is a file, or has no Citus; or a process is at work on it.
        Unavailable: it is busy, full or out of reach.
    """
    if file_of(address) is not None:
        raise StoreError(
            "the embedded database cannot be distributed; copy it to a PostgreSQL with postroom copy,"
            " and give that one with --database"
        )
    from postroom.store import postgres_schema  # noqa: PLC0415

    return await postgres_schema.distribute(address, clock, done)
